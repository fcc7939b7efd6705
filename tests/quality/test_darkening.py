"""Has a part gone dark? Shadows and veils laid over phantoms, where the truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenet_batch.degradation import preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.imaging.fov import find_fov
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.darkening import darkened_share
from magenet_batch.quality.limits import MOST
from magenet_batch.quality.measures import MeasuringCopy

EYE = make_phantom(3, size=512).pixels
FOV = find_fov(EYE)


def share(before: np.ndarray, after: np.ndarray) -> float | None:
    return darkened_share(*(MeasuringCopy.of(x, FOV) for x in (before, after)))


def shaded(left: float, of_field: float) -> np.ndarray:
    """The phantom with so much of its light left in a half-disc of its lower part."""
    rows = np.arange(512)[:, None, None]
    below = rows > FOV.y + FOV.radius * (1 - 2 * of_field)
    return np.rint(EYE * np.where(below, left, 1.0)).astype(np.uint8)


def test_the_share_is_that_of_the_disc_that_was_shaded():
    rows, columns = np.mgrid[:512, :512]
    inner = np.hypot(rows - FOV.y, columns - FOV.x) < 0.96 * FOV.radius
    for part in (0.1, 0.25, 0.5):
        true = (inner & (rows > FOV.y + FOV.radius * (1 - 2 * part))).sum() / inner.sum()
        assert share(EYE, shaded(0.1, part)) == pytest.approx(true, abs=0.03)


@pytest.mark.parametrize("left", [1.0, 0.8])
def test_what_loses_less_than_a_third_of_its_light_has_not_gone_dark(left: float):
    assert share(EYE, shaded(left, 0.4)) == 0


def test_what_stays_well_lit_has_not_gone_dark():
    bright = np.rint(np.minimum(EYE * 2.0, 255)).astype(np.uint8)
    assert share(bright, EYE) < 0.01


@given(
    first=st.floats(0.05, 1), second=st.floats(0.05, 1), part=st.floats(0, 1)
)  # fmt: skip
@settings(max_examples=15, deadline=None)
def test_less_light_never_counts_as_less_dark(first: float, second: float, part: float):
    less, more = sorted((first, second))
    assert 0 <= share(EYE, shaded(more, part)) <= share(EYE, shaded(less, part)) <= 1


@pytest.mark.parametrize("kind", ["haze", "gradient", "hole", "blur", "noise"])
def test_a_true_restoration_is_not_called_dark(kind: str):
    for seed in range(3):
        params = sample_degradation(np.random.default_rng(seed), preset(f"evaluation:{kind}"))
        before = degrade_pixels(EYE, params, mask=FOV.mask(512, 512))
        assert share(before, EYE) < MOST["darkened"]


def test_a_field_of_view_that_is_too_small_tells_nothing():
    copy = MeasuringCopy(np.zeros((40, 40, 3), np.float32), np.zeros((40, 40), bool), FOV)
    assert darkened_share(copy, copy) is None
