"""Smoothing inside a mask."""

import numpy as np

from magenet_batch.imaging.masked import masked_gaussian


def test_what_is_outside_does_not_leak_in():
    mask = np.zeros((40, 60), np.float32)
    mask[8:30, 10:45] = 1
    for values in (np.where(mask > 0, 0.7, 0.0), np.where(mask > 0, 0.7, 9.0)):
        x = values.astype(np.float32)
        mean, weight = masked_gaussian(x * mask, mask, 4.0)
        assert np.allclose(mean[mask > 0], 0.7, atol=1e-5)
        assert weight.shape == mask.shape and weight.max() <= 1 + 1e-5


def test_colours_are_smoothed_one_by_one():
    rng = np.random.default_rng(0)
    rgb, mask = rng.random((20, 30, 3), np.float32), np.ones((20, 30), np.float32)
    mean, _ = masked_gaussian(rgb, mask, 2.0)
    for channel in range(3):
        alone, _ = masked_gaussian(np.ascontiguousarray(rgb[..., channel]), mask, 2.0)
        assert np.allclose(mean[..., channel], alone, atol=1e-6)
