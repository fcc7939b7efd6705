"""The rim: a line is found where one was drawn, and the shipped network draws none."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from magenet_batch.degradation import DegradationParams
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.models.catalog import shipped_names
from magenet_batch.phantom import make_phantom, sample_params
from magenet_batch.quality.rim import rim_line, rim_reached, rim_seam
from magenet_batch.settings import DEFAULT_WEIGHTS

SIZE = 400
DISC = FieldOfView(200, 200, 180, 0, 0, SIZE, SIZE, SIZE, SIZE)


def away() -> np.ndarray:
    """Distance from the edge in radii, (H, W, 1)."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    return (1 - np.hypot(rows - 200, columns - 200) / 180)[..., None]


def grey(level: np.ndarray) -> np.ndarray:
    """A grey disc of these levels, 0..1: (H, W, 3) uint16."""
    inside = DISC.mask(SIZE, SIZE)[..., None]
    return np.rint(np.repeat(level * inside, 3, axis=2) * 65535).astype(np.uint16)


def lightness(level: float) -> float:
    pixel = np.full((1, 1, 3), level, np.float32)
    return float(cv2.cvtColor(pixel, cv2.COLOR_RGB2LAB)[0, 0, 0])


def test_a_step_counts_as_high_as_it_is():
    stepped = grey(np.where(away() < 0.064, 0.4, 0.5))
    step = lightness(0.5) - lightness(0.4)
    assert rim_line(stepped, DISC) == pytest.approx(step, rel=0.12)
    assert rim_seam(grey(np.full_like(away(), 0.5)), stepped, DISC) == pytest.approx(step, rel=0.12)


def test_a_line_counts_twice():
    lined = grey(np.where((away() > 0.054) & (away() < 0.064), 0.45, 0.5))
    assert rim_line(lined, DISC) == pytest.approx(2 * (lightness(0.5) - lightness(0.45)), rel=0.15)


def test_a_slope_of_light_is_no_line():
    assert rim_line(grey(0.3 + 0.8 * away()), DISC) < 0.4
    assert rim_line(grey(np.full_like(away(), 0.5)), DISC) == pytest.approx(0, abs=0.05)


def test_doing_nothing_draws_nothing():
    pixels = make_phantom(3, size=SIZE).pixels
    fov = find_fov(pixels)
    assert rim_seam(pixels, pixels, fov) == 0
    assert rim_reached(pixels, pixels, fov) is None


@pytest.mark.parametrize("part", [0.25, 0.5, 1.0])
def test_a_crescent_of_a_quarter_is_found_and_a_short_mark_is_not(part: float):
    angle = np.arctan2(*(np.mgrid[:SIZE, :SIZE] - 200))[..., None] / (2 * np.pi) + 0.5
    whole = grey(np.full_like(away(), 0.5))
    crescent = grey(np.where((away() < 0.04) & (angle <= part), 0.4, 0.5))
    mark = grey(np.where((away() < 0.04) & (angle <= 0.05), 0.4, 0.5))
    assert rim_seam(whole, crescent, DISC) > 8
    assert rim_seam(whole, mark, DISC) < 0.5


def test_an_edge_that_was_left_out_is_told():
    before, after = grey(np.full_like(away(), 0.4)), grey(np.full_like(away(), 0.6))
    core = DISC.without_rim(0.03).mask(SIZE, SIZE)[..., None]
    left_out = np.where(core, after, before)
    assert rim_reached(before, after, DISC) == pytest.approx(1, abs=0.01)
    assert rim_reached(before, left_out, DISC) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("fov", [DISC, replace(DISC, top=80, bottom=320)])
def test_a_cut_side_is_a_rim_as_well(fov: FieldOfView):
    before, after = grey(np.full_like(away(), 0.4)), grey(np.full_like(away(), 0.6))
    core = fov.without_rim(0.05).mask(SIZE, SIZE)[..., None]
    assert rim_seam(before, np.where(core, after, before), fov) > 10


def test_a_field_that_is_too_small_says_nothing():
    tiny = FieldOfView(8, 8, 7, 0, 0, 16, 16, 16, 16)
    pixels = np.zeros((16, 16, 3), np.uint8)
    assert rim_line(pixels, tiny) is None
    assert rim_seam(pixels, pixels, tiny) is rim_reached(pixels, pixels, tiny) is None


@pytest.mark.skipif(DEFAULT_WEIGHTS not in shipped_names(), reason="no weights are shipped")
def seed_of(shape: str, *, notch: bool) -> int:
    """The first phantom with this field of view."""
    for seed in range(500):
        params = sample_params(seed)
        if params.fov_shape == shape and (params.notch is not None) == notch:
            return seed
    raise LookupError(shape)


@pytest.mark.skipif(DEFAULT_WEIGHTS not in shipped_names(), reason="no weights are shipped")
@pytest.mark.parametrize("notch", [False, True])
@pytest.mark.parametrize("shape", ["full", "cut", "off_centre"])
def test_the_shipped_network_works_up_to_the_edge_without_a_line(shape: str, notch: bool):
    from magenet_batch.inference.enhancer import Enhancer

    clean = make_phantom(seed_of(shape, notch=notch), size=480).pixels
    fov = find_fov(clean)
    assert fov is not None
    veil = DegradationParams(haze_strength=0.5, haze_spread=3.0)
    before = degrade_pixels(clean, veil, mask=fov.mask(480, 480))
    after = Enhancer.load(threads=1).enhance(before, fov).pixels
    assert rim_reached(before, after, fov) > 0.85
    core = fov.without_rim(0.03).mask(480, 480)[..., None]
    left_out = np.where(core, after, before)
    # Its change has no more of a seam than the true one, far less than an edge left out.
    assert rim_line(after, fov) < rim_line(clean, fov) + 0.5
    assert rim_seam(before, after, fov) < rim_seam(before, clean, fov) + 0.5
    assert rim_seam(before, after, fov) < 0.5 * rim_seam(before, left_out, fov)
