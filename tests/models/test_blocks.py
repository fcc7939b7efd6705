"""Forms of operations that inference uses are those of training, only faster."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from magenet_batch.models.blocks import added_product, conv_unshuffled, doubled


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(0, 99))
def test_doubling_is_bilinear_interpolation(height: int, width: int, batch: int, seed: int):
    torch.manual_seed(seed)
    x = torch.randn(batch, 2, height, width)
    wanted = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    with torch.inference_mode():
        found = doubled(x)
    assert found.is_contiguous()
    assert torch.allclose(found, wanted, atol=1e-6)


def test_doubling_has_gradients_where_they_are_needed():
    x = torch.randn(1, 1, 4, 4, requires_grad=True)
    doubled(x).sum().backward()
    assert torch.allclose(x.grad, torch.full_like(x, 4.0))


def test_a_product_is_added_in_place_only_without_gradients():
    x, a, b = torch.ones(2), torch.full((2,), 3.0), torch.full((2,), 2.0)
    assert added_product(x, a, b).tolist() == [7.0, 7.0]
    assert x.tolist() == [1.0, 1.0]
    with torch.no_grad():
        added_product(x, a, b)
    assert x.tolist() == [7.0, 7.0]


@pytest.mark.parametrize(("size", "factor"), [(8, 2), (10, 2), (12, 4)])
def test_a_strided_convolution_stands_for_unshuffled_pixels(size: int, factor: int):
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3 * factor**2, 5, 3, padding=1)
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        found = conv_unshuffled(x, conv, factor=factor)
    assert torch.allclose(found, conv_unshuffled(x, conv, factor=factor), atol=1e-5)
