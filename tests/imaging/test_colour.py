"""Conversions agree with their definitions."""

import numpy as np
import pytest

from magenet_batch.imaging.colour import resize_area, to_float, to_lab


def test_both_depths_reach_one():
    assert to_float(np.full((2, 2, 3), 255, np.uint8)).max() == 1
    assert to_float(np.full((2, 2, 3), 65535, np.uint16)).max() == 1
    assert to_float(np.zeros((2, 2, 3), np.uint8)).dtype == np.float32


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [((1, 1, 1), (100, 0, 0)), ((0, 0, 0), (0, 0, 0)), ((1, 0, 0), (53.24, 80.09, 67.20))],
)
def test_lab_of_known_colours(rgb, lab):
    assert to_lab(np.float32([[rgb]]))[0, 0] == pytest.approx(lab, abs=0.3)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_reducing_averages(factor):
    pixels = np.random.default_rng(0).random((64, 96, 3)).astype(np.float32)
    boxes = pixels.reshape(64 // factor, factor, 96 // factor, factor, 3).mean((1, 3))
    reduced = resize_area(pixels, 96 // factor, 64 // factor)
    np.testing.assert_allclose(reduced, boxes, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7), (33, 17), (101, 99)])
def test_any_size_and_level_is_kept(size):
    resized = resize_area(np.full((99, 101, 3), 77, np.uint8), *size)
    assert resized.shape == (size[1], size[0], 3)
    assert (resized == 77).all()
