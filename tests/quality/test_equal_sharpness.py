"""Fidelity at equal sharpness: hidden vessels are not new, grain is not lost, inventions are."""

import cv2
import numpy as np
import pytest

from magenet_batch.imaging.fov import find_fov
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.equal_sharpness import Copies, Sharpness
from magenet_batch.quality.fidelity import measure_fidelity
from magenet_batch.quality.limits import LIMITS

SIZE = 560
SHARP = make_phantom(5, size=SIZE).pixels
_FOUND = find_fov(SHARP)
assert _FOUND is not None
FOV = _FOUND
INSIDE = FOV.mask(SIZE, SIZE)
BLUR = 3.0  # pixels
HAZY = np.where(INSIDE[..., None], cv2.GaussianBlur(SHARP, (0, 0), BLUR), SHARP)


def dark_lines(pixels: np.ndarray, fov) -> np.ndarray:
    """A simple detector: what is darker than its surroundings."""
    green = pixels[..., 1].astype(np.float32)
    depth = cv2.GaussianBlur(green, (0, 0), 6) / np.maximum(cv2.GaussianBlur(green, (0, 0), 1), 1)
    inner = fov.without_rim(0.1).mask(*green.shape)
    return np.clip((depth - 1.02) / 0.06, 0, 1) * inner


def sharp(*, blur: float = 0.0, noise: float = 0.0, compression: float = 0.0, vessels=dark_lines):
    return Sharpness(blur=blur, noise=noise, compression=compression, vessels=vessels)


def fidelity(before: np.ndarray, after: np.ndarray, *, blur: float = 0.0, noise: float = 0.0):
    sharpness = sharp(blur=blur * 1000 / (2 * FOV.radius), noise=noise)
    plain, equal = (
        measure_fidelity(
            before, after, FOV, vessels_before=dark_lines(before, FOV),
            vessels_after=dark_lines(after, FOV), sharpness=how,
        )
        for how in (None, sharpness)
    )  # fmt: skip
    return plain, equal


def with_line(pixels: np.ndarray) -> np.ndarray:
    """A dark line across a place without vessels."""
    line = np.zeros((SIZE, SIZE), np.float32)
    x, y = int(FOV.x), int(FOV.y - 0.25 * FOV.radius)
    cv2.line(line, (x - 70, y - 30), (x + 70, y + 35), 1, 7)
    shade = cv2.GaussianBlur(line, (0, 0), 1.5)[..., None] * (0.15, 0.5, 0.3)
    return (pixels * (1 - shade)).astype(np.uint8)


def grainy(pixels: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(3).normal(0, 14, pixels.shape)
    return np.where(INSIDE[..., None], np.clip(pixels + noise, 0, 255), pixels).astype(np.uint8)


GRAINY = grainy(SHARP)


def test_vessels_that_blur_hid_are_not_new():
    plain, equal = fidelity(HAZY, SHARP, blur=BLUR)
    assert plain["vessel_new"] > 0.1
    assert equal["vessel_new"] < 0.3 * plain["vessel_new"]
    assert equal["fidelity"] > plain["fidelity"]


def test_a_vessel_that_was_not_there_is_new_at_any_sharpness():
    _, honest = fidelity(HAZY, SHARP, blur=BLUR)
    _, invented = fidelity(HAZY, with_line(SHARP), blur=BLUR)
    assert invented["vessel_new_longest"] > honest["vessel_new_longest"] + 0.1
    assert invented["fidelity"] < 0.5


def test_what_the_detector_alone_misses_was_drawn_by_noise():
    noise = np.random.default_rng(5).random((SIZE, SIZE)) > 0.995
    marks = (cv2.dilate(noise.astype(np.uint8), np.ones((3, 12))) * INSIDE).astype(np.float32)
    originals = iter([True, False, False])

    def detector(pixels, fov):
        found = dark_lines(pixels, fov)
        return np.maximum(found, marks) if next(originals) else found

    row = measure_fidelity(
        GRAINY, SHARP, FOV, vessels_before=np.maximum(dark_lines(GRAINY, FOV), marks),
        vessels_after=dark_lines(SHARP, FOV), sharpness=sharp(noise=5.5, vessels=detector),
    )  # fmt: skip
    plain = measure_fidelity(
        GRAINY, SHARP, FOV, vessels_before=np.maximum(dark_lines(GRAINY, FOV), marks),
        vessels_after=dark_lines(SHARP, FOV),
    )  # fmt: skip
    assert plain["vessel_lost"] > 0.1
    assert row["vessel_lost"] < 0.02
    assert row["structure_agreement"] > 0.9
    assert row["vessel_lost_longest"] < LIMITS["vessel_lost_longest"]


def test_lines_that_noise_drew_are_not_lost_and_a_vessel_is():
    noisy = grainy(SHARP)
    plain, equal = fidelity(noisy, SHARP, noise=5.5)
    assert plain["vessel_lost"] > 0.1
    assert equal["vessel_lost"] < 0.5 * plain["vessel_lost"]
    _, erased = fidelity(grainy(with_line(SHARP)), SHARP, noise=5.5)
    assert erased["vessel_lost_longest"] > equal["vessel_lost_longest"] + 0.1


def test_sharp_originals_and_equal_images_are_compared_once():
    asked = []

    def detector(pixels, fov):
        asked.append(pixels.shape)
        return dark_lines(pixels, fov)

    maps = {"vessels_before": dark_lines(HAZY, FOV), "vessels_after": dark_lines(SHARP, FOV)}
    measure_fidelity(
        HAZY, SHARP, FOV, **maps, sharpness=sharp(blur=0.1, noise=0.1, vessels=detector)
    )
    same = dark_lines(SHARP, FOV)
    measure_fidelity(
        SHARP, SHARP, FOV, vessels_before=same, vessels_after=same,
        sharpness=sharp(blur=9.0, noise=9.0, vessels=detector),
    )  # fmt: skip
    assert asked == []
    measure_fidelity(
        HAZY, SHARP, FOV, **maps, sharpness=sharp(blur=9.0, noise=0.1, vessels=detector)
    )
    assert len(asked) == 3


def test_without_maps_of_vessels_the_rest_is_compared():
    maps = {"vessels_before": dark_lines(HAZY, FOV), "vessels_after": dark_lines(SHARP, FOV)}
    row = measure_fidelity(
        HAZY, SHARP, FOV, **maps, sharpness=sharp(blur=9.0, vessels=lambda pixels, fov: None)
    )
    plain = measure_fidelity(HAZY, SHARP, FOV, **maps)
    assert row["vessel_new"] == plain["vessel_new"]
    assert row["lesion_new"] <= plain["lesion_new"]


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("factor", [1, 2])
def test_copies_have_one_size_at_any_depth(depth: type, factor: int):
    large = cv2.resize(SHARP, None, fx=factor, fy=factor).astype(depth)
    if depth is np.uint16:
        large = large * 257
    copies = Copies.of(large, large, FOV.scaled(factor), sharp(blur=9.0, noise=5.0))
    assert abs(2 * copies.fov.radius - min(560, 2 * FOV.radius * factor)) < 2
    inner = copies.fov.without_rim(0.1).mask(*copies.before.shape[:2])

    def edges(x: np.ndarray) -> float:
        return float(cv2.Laplacian(x[..., 1].astype(np.float32), -1)[inner].std())

    spots, lines = copies.for_spots(), copies.for_lines()
    for equal in (spots, lines):
        assert equal.before.dtype == equal.blurred.dtype == np.uint8
        assert np.array_equal(equal.before, equal.after)
        assert edges(equal.blurred) < edges(equal.after) < edges(copies.after)
    assert edges(lines.before) < 0.7 * edges(spots.before)


def test_compression_draws_lines_as_noise_does():
    squeezed = sharp(compression=0.5)
    assert squeezed.noisy and squeezed.matters
    assert not sharp(compression=0.1).matters
