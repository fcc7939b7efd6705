"""Bands of detail, against SciPy, and what the last stage makes of them."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d

from magenet_batch.models.stages import LocalStage
from magenet_batch.models.wavelets import reach, wavelet_bands


def smoothed(image: np.ndarray, spacing: int) -> np.ndarray:
    taps = np.zeros(4 * spacing + 1)
    taps[::spacing] = np.array([1, 4, 6, 4, 1]) / 16
    for axis in (-2, -1):
        image = convolve1d(image, taps, axis=axis, mode="nearest")
    return image


def test_bands_are_differences_of_smoothed_copies():
    image = torch.rand(2, 3, 37, 41)
    smooth = image.numpy().astype(np.float64)
    for k, band in enumerate(wavelet_bands(image, 3)):
        smoother = smoothed(smooth, 2**k)
        assert np.abs(band.numpy() - (smooth - smoother)).max() < 1e-6
        smooth = smoother


def test_bands_of_an_even_slope_are_nothing_away_from_the_edges():
    slope = torch.linspace(0, 1, 64)[:, None] + torch.linspace(0, 0.5, 80)
    for band in wavelet_bands(slope[None, None], 3):
        assert float(band[..., 16:-16, 16:-16].abs().max()) < 1e-6


@pytest.mark.parametrize("count", [1, 2, 3])
def test_nothing_beyond_their_reach_matters(count: int):
    image = torch.rand(1, 1, 65, 65, requires_grad=True)
    torch.stack(wavelet_bands(image, count)).sum(0)[0, 0, 32, 32].backward()
    touched = image.grad[0, 0].nonzero()
    assert int((touched - 32).abs().max()) == reach(count)


@torch.no_grad()
def test_the_last_stage_can_smooth_and_sharpen():
    stage = LocalStage(
        (8, 12), condition_channels=4, described_by=8, attention=True, gate=False, bands=2
    )
    base = torch.rand(1, 3, 32, 48)
    shown = (torch.rand(1, 4, 16, 24), torch.rand(1, 8))
    detail = sum(wavelet_bands(base, 2))
    for strength, expected in ((-20.0, base - detail), (0.0, base), (20.0, base + detail)):
        stage.bands.bias.fill_(strength)
        assert torch.allclose(stage(torch.rand_like(base), base, *shown), expected, atol=1e-5)
