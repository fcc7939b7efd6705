"""Bands of detail: they sum to the image, and their Gaussians have known variances."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from magenet_batch.models.restoration.bands import BANDS, REACH, Bands, detail_bands
from magenet_batch.models.restoration.statistics import band_statistics, statistics_of


@settings(deadline=None, max_examples=20)
@given(height=st.integers(9, 90), width=st.integers(9, 90), seed=st.integers(0, 99))
def test_bands_and_rest_sum_to_the_image(height: int, width: int, seed: int):
    x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    bands = detail_bands(x)
    assert len(bands.detail) == BANDS
    assert torch.allclose(sum(bands.detail) + bands.rest, x, atol=1e-5)


def test_the_smoothing_gaussians_have_the_variances_that_are_documented():
    size = 2 * REACH + 65
    x = torch.zeros(1, 1, size, size)
    x[..., size // 2, size // 2] = 1
    at = torch.arange(size, dtype=torch.float64) - size // 2
    left = x.double()
    for k, band in enumerate(detail_bands(x).detail):
        left = left - band
        row = left.sum((0, 1, 2))
        assert float(row.sum()) == pytest.approx(1, abs=1e-5)
        assert float((row * at.square()).sum()) == pytest.approx(2**k - 0.5, rel=1e-3)


def test_nothing_beyond_the_reach_counts():
    size = 2 * REACH + 41
    x = torch.rand(1, 3, size, size)
    y = x.clone()
    y[..., 0, :] += 1
    a, b = detail_bands(x), detail_bands(y)
    for one, other in zip(a, b, strict=True):
        assert torch.allclose(one[..., REACH + 1 :, :], other[..., REACH + 1 :, :], atol=1e-6)
    assert not torch.allclose(a.rest[..., REACH // 2, :], b.rest[..., REACH // 2, :], atol=1e-6)


def test_a_constant_has_no_detail():
    bands, rest = detail_bands(torch.full((1, 3, 40, 40), 0.3))
    assert float(bands.abs().max()) < 1e-6
    assert np.allclose(rest.numpy(), 0.3, atol=1e-6)


@pytest.mark.parametrize(("size", "every"), [(160, 1), (336, 2)])
def test_statistics_from_the_pixels_that_count_are_those_of_all_under_the_mask(
    size: int, every: int
):
    random = torch.Generator().manual_seed(4)
    bands = detail_bands(torch.rand(2, 3, size, size, generator=random))
    at = torch.arange(size) - size / 2
    away = (at.square() + at[:, None].square()).sqrt()
    inner = torch.stack([(away < share * size).float()[None] for share in (0.4, 0.25)])
    wanted = band_statistics(bands.every(every), inner[..., ::every, ::every])
    with torch.no_grad():
        found = statistics_of(bands, inner)
        alone = [statistics_of(Bands(*(t[k : k + 1] for t in bands)), inner[k : k + 1])
                 for k in range(2)]  # fmt: skip
    assert torch.allclose(found, wanted, atol=2e-4)
    assert torch.equal(found, torch.cat(alone))
    assert torch.allclose(statistics_of(bands, inner), wanted), "with gradients"
