"""Shifts of colour that were made."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2lab

from magenet_batch.evaluation.hue import hue_shift
from magenet_batch.imaging.fov import FieldOfView

FOV = FieldOfView(128, 128, 128, 0, 0, 256, 256, 256, 256)


def even(rgb: tuple[int, int, int]) -> np.ndarray:
    return np.broadcast_to(np.array(rgb, np.uint8), (256, 256, 3)).copy()


@pytest.mark.parametrize(
    ("before", "after"), [((180, 90, 40), (200, 90, 40)), ((120, 60, 30), (110, 70, 60))]
)
def test_it_is_the_distance_in_a_and_b(before, after):
    first, last = (rgb2lab(np.array(rgb) / 255.0) for rgb in (before, after))
    expected = np.linalg.norm((last - first)[1:])
    assert hue_shift(even(before), even(after), FOV) == pytest.approx(expected, rel=0.01)


def test_lightness_does_not_count():
    assert hue_shift(even((100, 100, 100)), even((180, 180, 180)), FOV) < 0.05


@given(seed=st.integers(0, 100))
@settings(max_examples=5)
def test_nothing_changed_is_no_shift_and_grain_hardly_one(seed: int):
    before = even((180, 90, 40))
    noise = np.random.default_rng(seed).normal(0, 6, before.shape)
    noisy = np.clip(before + noise, 0, 255).astype(np.uint8)
    assert hue_shift(before, before, FOV) == 0
    assert hue_shift(before, noisy, FOV) < 0.6


def test_without_a_field_of_view_there_is_nothing_to_say():
    line = FieldOfView(128, 128, 128, 0, 127, 256, 129, 256, 256)  # all of it is rim
    assert hue_shift(even((1, 2, 3)), even((1, 2, 3)), line) is None
