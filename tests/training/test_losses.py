"""The losses by name, against values known by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from magenet_batch.training.losses import lost_contrast


def stripes(contrast: float) -> torch.Tensor:
    """Dark lines of one pixel, eight pixels apart."""
    x = torch.full((1, 3, 64, 64), 0.5)
    x[..., ::8] -= contrast
    return x


EVERYWHERE = torch.ones(1, 1, 64, 64)


@given(share=st.floats(0, 2))
def test_lost_contrast_is_the_squared_share_that_is_missing(share: float):
    found = lost_contrast(stripes(0.2 * share), stripes(0.2), EVERYWHERE)
    assert float(found) == pytest.approx((1 - share) ** 2, abs=1e-4)


def test_a_change_of_light_loses_no_contrast():
    brighter = stripes(0.2) + torch.linspace(0, 0.02, 64)
    assert float(lost_contrast(brighter, stripes(0.2), EVERYWHERE)) < 1e-3


def test_only_weighted_pixels_count():
    x = stripes(0.2)
    x[:, :, 32:] = 0.5  # the lower lines are gone
    upper, lower = EVERYWHERE.clone(), EVERYWHERE.clone()
    upper[:, :, 24:], lower[:, :, :40] = 0, 0
    assert float(lost_contrast(x, stripes(0.2), upper)) < 1e-3
    assert float(lost_contrast(x, stripes(0.2), lower)) > 0.9


@pytest.mark.parametrize("weight", [EVERYWHERE, 0 * EVERYWHERE])
def test_without_detail_nothing_is_lost(weight: torch.Tensor):
    flat = torch.full((1, 3, 64, 64), 0.5)
    assert float(lost_contrast(stripes(0.2), flat, weight)) == 0
