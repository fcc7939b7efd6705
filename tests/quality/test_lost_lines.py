"""Lines that are gone are found whatever else changed; what noise drew was none."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.limits import LIMITS
from magenet_batch.quality.lost_lines import LostLines, find_lost_lines
from magenet_batch.quality.measures import MeasuringCopy

SIZE = 560
EYE = make_phantom(5, size=SIZE).pixels
_FOUND = find_fov(EYE)
assert _FOUND is not None
FOV: FieldOfView = _FOUND
INSIDE = FOV.mask(SIZE, SIZE)[..., None]
LIMIT = LIMITS["vessel_lost_longest"]
LENGTH = 140.0  # pixels


def drawn(pixels: np.ndarray, ends: list[tuple[int, int, int, int]]) -> np.ndarray:
    """Soft dark lines, from (x, y) to (x, y), both from the centre."""
    line = np.zeros((SIZE, SIZE), np.float32)
    x, y = int(FOV.x), int(FOV.y)
    for x0, y0, x1, y1 in ends:
        cv2.line(line, (x + x0, y + y0), (x + x1, y + y1), 1, 6)
    shade = cv2.GaussianBlur(line, (0, 0), 1.5)[..., None] * 0.3
    return (pixels * (1 - shade)).astype(np.uint8)


def with_line(pixels: np.ndarray) -> np.ndarray:
    return drawn(pixels, [(-70, -70, 70, -70)])


_SMOOTH = cv2.GaussianBlur(np.where(INSIDE, EYE, EYE[280, 200]), (0, 0), 30)
GROUND = np.where(INSIDE, _SMOOTH, EYE)
KEPT = [(-30, -20, -150, 40), (0, 0, -60, 160), (20, 0, 90, 140), (40, -20, 170, 30)]
PIXELS = drawn(GROUND, KEPT)


def degraded(pixels: np.ndarray, *, noise: float = 0.0, blur: float = 0.0, veil: float = 0.0):
    x = pixels.astype(np.float32)
    if blur:
        x = cv2.GaussianBlur(x, (0, 0), blur)
    x = x * (1 - veil) + 150 * veil
    x += np.random.default_rng(4).normal(0, max(noise, 1e-6), x.shape)
    return np.where(INSIDE, np.clip(x, 0, 255), pixels).astype(np.uint8)


def lost(before: np.ndarray, after: np.ndarray, fov: FieldOfView = FOV):
    return find_lost_lines(*(MeasuringCopy.of(x, fov) for x in (before, after)))


FAULTS = [{"noise": 12}, {"blur": 4.0}, {"veil": 0.6}, {"noise": 6, "blur": 3.0, "veil": 0.3}]


@pytest.mark.parametrize("faults", FAULTS)
def test_what_is_restored_lost_no_line(faults):
    assert lost(degraded(PIXELS, **faults), PIXELS).longest() < LIMIT


@pytest.mark.parametrize("faults", [{}, *FAULTS])
def test_a_line_that_is_gone_is_found_under_any_fault(faults):
    found = lost(degraded(with_line(PIXELS), **faults), PIXELS)
    assert found.longest() > LIMIT
    assert found.longest() < 1.5 * LENGTH / FOV.radius
    near = found.near(SIZE, SIZE)
    assert near[int(FOV.y) - 70, int(FOV.x) - 40 : int(FOV.x) + 40].mean() > 0.5


def test_a_long_line_is_as_long_as_it_was_drawn():
    """A filter still answers a little beyond the end of a line."""
    drawn_length = LENGTH / FOV.radius
    assert drawn_length <= lost(with_line(PIXELS), PIXELS).longest() <= drawn_length + 0.15


def test_a_line_that_is_new_is_none_that_is_lost():
    assert lost(PIXELS, with_line(PIXELS)).longest() == 0


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(0.5, 0.8), veil=st.floats(0, 0.8), tilt=st.floats(-0.3, 0.3))
def test_light_and_veil_that_change_lose_nothing(gain, veil, tilt):
    """Evening out the light, and lifting a veil."""
    slope = 1 + tilt * (np.arange(SIZE) - FOV.x)[None, :, None] / FOV.radius
    dim = np.clip(PIXELS * gain * slope, 0, 255)
    veiled = (dim * (1 - veil) + 140 * veil).astype(np.uint8)
    assert lost(veiled, PIXELS).longest() < LIMIT


def test_the_same_at_any_size():
    before, after = with_line(PIXELS), PIXELS
    size = (3 * SIZE, 3 * SIZE)
    large = (cv2.resize(x, size, interpolation=cv2.INTER_CUBIC) for x in (before, after))
    assert lost(*large, FOV.scaled(3)).longest() == pytest.approx(
        lost(before, after).longest(), rel=0.1
    )


def test_of_a_field_of_view_without_pixels_nothing_is_said():
    speck = FieldOfView(280, 280, 260, 0, 276, 560, 284, 560, 560)
    assert lost(PIXELS, PIXELS, speck) is None


def test_a_stretch_is_confirmed_whole_by_any_part_of_it():
    gone = np.zeros((100, 120), bool)
    gone[20, 10:60] = gone[70, 10:40] = True
    part = np.zeros((50, 60), bool)
    part[10, 20:22] = True
    found = LostLines(gone, FOV).confirmed_by(LostLines(part, FOV))
    assert found.gone[20, 10:60].all() and found.gone.sum() == 50
    assert LostLines(gone, FOV).confirmed_by(None).gone.sum() == 80
    nothing = LostLines(np.zeros((50, 60), bool), FOV)
    assert LostLines(gone, FOV).confirmed_by(nothing).longest() == 0


@pytest.mark.parametrize("faults", FAULTS)
def test_a_line_that_is_gone_is_confirmed_by_smoother_copies(faults):
    before = degraded(with_line(PIXELS), **faults)
    smooth = (cv2.GaussianBlur(x, (0, 0), 1.5) for x in (before, PIXELS))
    confirmed = lost(before, PIXELS).confirmed_by(lost(*smooth))
    assert LIMIT < confirmed.longest() <= lost(before, PIXELS).longest()
