"""Integers to tensors and back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from magenet_batch.inference.pixels import as_pixels, as_tensor

CPU = torch.device("cpu")


@given(arrays(st.sampled_from([np.uint8, np.uint16]), (3, 5, 3)))
def test_every_value_survives_the_way_there_and_back(pixels: np.ndarray):
    for layout in (torch.channels_last, torch.contiguous_format):
        x = as_tensor(pixels, CPU, layout=layout)
        assert x.shape == (1, 3, 3, 5)
        assert x.is_contiguous(memory_format=layout)
        assert float(x.min()) >= 0 and float(x.max()) <= 1
        again = as_pixels(x, pixels.dtype)
        assert again.dtype == pixels.dtype
        assert np.array_equal(again, pixels)


def test_values_are_rounded_to_the_nearest():
    x = torch.tensor([0.4, 0.6, 254.6]).view(1, 3, 1, 1) / 255
    assert as_pixels(x, np.dtype(np.uint8)).tolist() == [[[0, 1, 255]]]


@pytest.mark.parametrize("view", [np.s_[1:4], np.s_[:, 2:5], np.s_[::2]])
def test_parts_of_a_picture_are_read_where_they_lie(view: tuple):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    x = as_tensor(pixels[view], CPU, layout=torch.contiguous_format)
    assert np.array_equal(as_pixels(x, pixels.dtype), pixels[view])
