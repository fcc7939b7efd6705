"""Restoring at native resolution: identity where nothing is wrong, any size, any depth."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from notches import notched

from magenet_batch.errors import CancelledError
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.inference import composing, preparing
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.inference.tiles import Square
from magenet_batch.models.restoration.config import (
    RESTORATION_SIZES,
    RestorationConfig,
    SensorConfig,
)
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.weights import load_weights, save_weights
from magenet_batch.phantom import make_phantom


def saved(folder: Path, *, stir: float, closed: bool = False, working: int = 256) -> str:
    torch.manual_seed(0)
    sensor = SensorConfig(widths=(8, 12, 16), working_size=working)
    config = RestorationConfig(size="tiny", **{**RESTORATION_SIZES["tiny"], "sensor": sensor})
    network = Restorer(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, stir)
        network.scatter.expected.fill_(-20.0 if closed else 0.0)
        if closed:
            network.sense.estimates.bias[:] = -20.0
            network.light.believe[2].bias[0] = -9.0
            network.light.tone[4].bias[3] = -9.0
    path = folder / f"tiny-{stir}-{closed}-{working}.safetensors"
    save_weights(network, path, name="tiny", notes={})
    return str(path)


def enhancer(weights: str) -> Enhancer:
    network, found = load_weights(weights)
    return Enhancer(network, found, device=torch.device("cpu"))


def phantom(size: int = 300, seed: int = 4) -> tuple[np.ndarray, FieldOfView]:
    pixels = make_phantom(seed, size=size).pixels
    fov = find_fov(pixels)
    assert fov is not None
    return pixels, fov


def bordered(seed: int) -> tuple[np.ndarray, FieldOfView]:
    pixels = np.pad(make_phantom(seed, size=300).pixels, ((25, 25), (25, 25), (0, 0)))
    fov = find_fov(pixels)
    assert fov is not None
    return pixels, fov


@pytest.mark.parametrize("size", [200, 300, 700])
def test_a_network_that_finds_nothing_wrong_gives_every_pixel_back(tmp_path: Path, size: int):
    pixels, fov = phantom(size)
    done = enhancer(saved(tmp_path, stir=0.0, closed=True)).enhance(pixels, fov)
    assert np.array_equal(done.pixels, pixels)
    assert done.estimates is not None
    assert done.estimates.veil == 0


@pytest.mark.parametrize("size", [300, 700])
def test_outside_the_field_of_view_every_pixel_stays(tmp_path: Path, size: int):
    pixels, fov = phantom(size)
    result = enhancer(saved(tmp_path, stir=0.05)).enhance(pixels, fov).pixels
    mask = fov.mask(*pixels.shape[:2])
    assert np.array_equal(result[~mask], pixels[~mask])
    assert not np.array_equal(result[mask], pixels[mask])
    assert result.dtype == pixels.dtype


def test_sixteen_bits_go_through_without_a_step_of_eight(tmp_path: Path):
    pixels, fov = phantom()
    weights = saved(tmp_path, stir=0.05)
    deep = pixels.astype(np.uint16) * 257
    eight, sixteen = (enhancer(weights).enhance(p, fov).pixels for p in (pixels, deep))
    assert sixteen.dtype == np.uint16
    assert len(np.unique(sixteen)) > 1000
    assert np.abs(sixteen / 257.0 - eight).max() <= 0.51


@pytest.mark.parametrize("shape", [(300, 220), (190, 301), (97, 97)])
def test_any_size_and_any_cut(tmp_path: Path, shape: tuple[int, int]):
    pixels = make_phantom(2, size=301).pixels[: shape[0], : shape[1]].copy()
    fov = FieldOfView(150, 150, 145, 0, 0, shape[1], shape[0], shape[1], shape[0])
    done = enhancer(saved(tmp_path, stir=0.05)).enhance(pixels, fov)
    assert done.pixels.shape == pixels.shape


def test_a_larger_image_shows_the_same_restoration(tmp_path: Path):
    """Twice the pixels, seen through a copy of half the size: nearly the same picture."""
    pixels, fov = phantom(256)
    double = np.repeat(np.repeat(pixels, 2, 0), 2, 1)
    weights = saved(tmp_path, stir=0.03)
    small = enhancer(weights).enhance(pixels, fov).pixels.astype(float)
    large = enhancer(weights).enhance(double, fov.scaled(2)).pixels.astype(float)
    back = large.reshape(256, 2, 256, 2, 3).mean((1, 3))
    inside = fov.without_rim(0.06).mask(256, 256)
    assert np.abs(back - small)[inside].mean() < 1.5


def test_it_stops_when_asked(tmp_path: Path):
    pixels, fov = phantom()
    with pytest.raises(CancelledError):
        enhancer(saved(tmp_path, stir=0.05)).enhance(pixels, fov, cancelled=lambda: True)


def test_a_notch_is_restored_as_the_disc_beside_it(tmp_path: Path):
    pixels, fov = bordered(2)
    picture, drawn = notched(pixels, fov, angle=-45)
    veiled = np.where(picture.max(2, keepdims=True) > 12, 0.5 * picture + (95, 90, 80), picture)
    before = np.rint(veiled).astype(np.uint8)
    after = enhancer(saved(tmp_path, stir=0.05)).enhance(before, fov).pixels
    change = after.astype(float) - before
    near = cv2.dilate(drawn.astype(np.uint8), np.ones((13, 13), np.uint8)) > 0
    edge = near & fov.mask(*near.shape)
    inner = cv2.erode(drawn.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    of_disc, of_notch = np.median(change[edge], axis=0), np.median(change[inner], axis=0)
    assert np.abs(of_disc).max() > 5
    # The light of this network has a slope.
    assert np.abs(of_disc - of_notch).max() < 0.3 * np.abs(of_disc).max()
    assert not change[~near & ~fov.mask(*near.shape)].any()


def test_a_notch_beyond_the_square_is_restored_without_a_step(tmp_path: Path):
    pixels, fov = bordered(2)
    before, drawn = notched(pixels, fov, angle=0, deep=0.08)
    after = enhancer(saved(tmp_path, stir=0.15)).enhance(before, fov).pixels
    change = (after.astype(float) - before).mean(2)
    square = Square.around(fov)
    row = change[round(fov.y)]
    columns = np.flatnonzero(drawn[round(fov.y)])[:-1]
    beyond = columns[columns >= square.left + square.side]
    assert len(beyond) > 4
    assert np.abs(row[beyond]).min() > 0.5
    assert np.ptp(row[beyond]) < 1
    assert abs(row[beyond[0]] - np.median(row[columns])) < 2


@pytest.mark.parametrize("seed", [2, 3])
def test_without_a_notch_nothing_is_extended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
):
    pixels, fov = bordered(seed)
    at = (round(fov.x + 0.72 * fov.radius) + 3, round(fov.y - 0.72 * fov.radius) - 3)
    labelled = cv2.putText(
        pixels.copy(), "OD 12/03", at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255)
    )
    weights = saved(tmp_path, stir=0.05)
    found = enhancer(weights).enhance(labelled, fov).pixels
    outside = ~fov.mask(*pixels.shape[:2])
    assert np.array_equal(found[outside], labelled[outside])
    monkeypatch.setattr(preparing, "notch_weights", lambda *_: None)
    assert np.array_equal(found, enhancer(weights).enhance(labelled, fov).pixels)


def test_film_at_the_edge_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The field of view that was found reaches over its soft edge: no black line is drawn there."""
    pixels, fov = bordered(2)
    wider = replace(fov, radius=1.02 * fov.radius, left=0, top=0, right=350, bottom=350)
    film = np.maximum(pixels, np.array((24, 33, 24), np.uint8))
    weights = saved(tmp_path, stir=0.15)
    after = enhancer(weights).enhance(film, wider).pixels
    edge = wider.mask(350, 350) & (film == (24, 33, 24)).all(2)
    assert edge.sum() > 500
    changed = np.abs(after.astype(int) - film)[edge].max(1)
    assert np.percentile(changed, 95) <= 1
    monkeypatch.setattr(preparing, "edge_levels", lambda *_: None)
    before = enhancer(weights).enhance(film, wider).pixels
    inner = fov.without_rim(0.06).mask(350, 350)
    assert np.array_equal(after[inner], before[inner])
    black = [enhancer(weights).enhance(pixels, wider).pixels]
    monkeypatch.undo()
    black.append(enhancer(weights).enhance(pixels, wider).pixels)
    assert np.array_equal(*black)


def test_where_nothing_changes_vessels_are_detected_once(tmp_path: Path):
    pixels, fov = phantom()
    network = enhancer(saved(tmp_path, stir=0.0, closed=True))
    calls = []
    network.network.structure.register_forward_hook(lambda *_: calls.append(1))
    done = network.enhance(pixels, fov)
    assert np.array_equal(done.pixels, pixels)
    assert not np.shares_memory(done.pixels, pixels), "the caller may write into either"
    assert len(calls) == 1
    assert np.array_equal(done.vessels_before, done.vessels_after)
    changed = enhancer(saved(tmp_path, stir=0.05))
    changed.network.structure.register_forward_hook(lambda *_: calls.append(1))
    changed.enhance(pixels, fov)
    assert len(calls) == 3


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_the_height_of_the_strips_does_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type
):
    """A GPU takes taller ones."""
    pixels, fov = phantom(700)
    pixels = pixels.astype(kind) * (257 if kind is np.uint16 else 1)
    weights = saved(tmp_path, stir=0.05)
    found = []
    for tall in (40, 256, 2048):
        monkeypatch.setattr(composing, "STRIP", tall)
        found.append(enhancer(weights).enhance(pixels, fov).pixels.astype(int))
    assert np.abs(found[0] - pixels).max() > np.iinfo(kind).max // 50
    for other in found[1:]:
        assert np.abs(other - found[0]).max() <= 1


def test_scanned_film_keeps_its_light(tmp_path: Path):
    """A border that is not black is the base of a film, which passes for a veil."""
    network, found = load_weights(saved(tmp_path, stir=0.3))
    network.sensor = network.scatter = None
    one = Enhancer(network, found, device=torch.device("cpu"))
    pixels, fov = bordered(2)
    film = pixels.copy()
    film[~fov.mask(*pixels.shape[:2])] = (12, 20, 16)
    changed, kept = one.enhance(pixels, fov), one.enhance(film, fov)
    assert np.abs(changed.pixels.astype(int) - pixels).max() > 3
    assert np.array_equal(kept.pixels, film)
    assert kept.estimates is not None
    assert kept.estimates.unevenness == kept.estimates.veil == 0
    # Between the two, a part of the light is undone.
    film[~fov.mask(*pixels.shape[:2])] = (12, 12, 12)
    half = one.enhance(film, fov)
    assert 0 < half.estimates.unevenness < changed.estimates.unevenness
