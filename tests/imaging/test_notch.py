"""Notches of the field of view are found; text, glow, noise and plain discs are none."""

import cv2
import numpy as np
import pytest
from notches import notched

from magenet_batch.imaging.fov import FieldOfView, analysis_copy, find_fov
from magenet_batch.imaging.notch import notch_weights
from magenet_batch.phantom import make_phantom

SEEDS = range(3)


def disc(seed: int, size: int = 400) -> tuple[np.ndarray, FieldOfView]:
    pixels = np.pad(make_phantom(seed, size=size).pixels, ((30, 30), (30, 30), (0, 0)))
    fov = find_fov(pixels)
    assert fov is not None
    return pixels, fov


def weights_of(pixels: np.ndarray, fov: FieldOfView) -> np.ndarray | None:
    return notch_weights(pixels, analysis_copy(pixels, fov), fov)


@pytest.mark.parametrize("angle", [-45, 0, 130])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_notch_is_found_where_it_is(seed: int, angle: float):
    pixels, fov = disc(seed)
    picture, drawn = notched(pixels, fov, angle=angle)
    found = weights_of(picture, fov)
    assert found is not None
    whole = (found > 0.5) | fov.mask(*found.shape)
    assert whole[drawn].mean() > 0.9
    far = cv2.dilate(drawn.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    assert not found[far].any()
    assert not found[fov.mask(*found.shape)].any()


@pytest.mark.parametrize("scale", [0.6, 2.5])
def test_at_any_size_and_depth(scale: float):
    pixels, fov = disc(1)
    picture, drawn = notched(pixels, fov, angle=-45)
    large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    again = fov.scaled(scale)
    eight, sixteen = (weights_of(x, again) for x in (large, large.astype(np.uint16) * 257))
    assert eight is not None
    assert sixteen is not None
    assert eight.sum() == pytest.approx(scale**2 * drawn.sum(), rel=0.3)
    assert np.abs(eight - sixteen).max() < 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_a_plain_disc_has_none(seed: int):
    pixels, fov = disc(seed)
    assert weights_of(pixels, fov) is None


def test_a_picture_without_border_has_none():
    pixels, fov = disc(0)
    row = slice(round(fov.y) - 100, round(fov.y) + 100)
    column = slice(round(fov.x) - 100, round(fov.x) + 100)
    cut = pixels[row, column]
    assert weights_of(cut, FieldOfView(100, 100, 142, 0, 0, 200, 200, 200, 200)) is None


@pytest.mark.parametrize("text", ["12/03/2014", "OD", "I"])
@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 255, 0)])
def test_text_beside_the_disc_is_none(text: str, colour: tuple[int, int, int]):
    pixels, fov = disc(2)
    for away in (0, 4, 10):
        picture = pixels.copy()
        at = (round(fov.x + 0.72 * fov.radius) + away, round(fov.y - 0.72 * fov.radius) - away)
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1)
        assert weights_of(picture, fov) is None, away


def test_glow_around_the_disc_is_none():
    pixels, fov = disc(2)
    light = pixels.astype(np.float32)
    glow = cv2.GaussianBlur(light, (0, 0), 12)
    assert weights_of(np.maximum(light, glow).astype(np.uint8), fov) is None


def test_noise_of_the_border_stays():
    pixels, fov = disc(0)
    picture, _ = notched(pixels, fov, angle=-45)
    noise = np.random.default_rng(0).integers(0, 12, picture.shape)
    noisy = np.clip(picture.astype(int) + noise, 0, 255).astype(np.uint8)
    clear, found = weights_of(picture, fov), weights_of(noisy, fov)
    assert clear is not None
    assert found is not None
    assert not found[cv2.dilate(clear, np.ones((7, 7), np.uint8)) == 0].any()
