"""Noise as demosaicing leaves it: variance, correlation, channels, resolutions."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from magenet_batch.degradation import DegradationParams
from magenet_batch.degradation.apply import apply_degradation


def noise(
    size: int = 512, *, level: float = 0.5, height: int | None = None, **fields: object
) -> np.ndarray:
    """What is added to an even picture, (3, H, W)."""
    even = torch.full((1, 3, size, size), level)
    params = DegradationParams(**{"noise_seed": 99} | fields)  # type: ignore[arg-type]
    mask = torch.ones(1, 1, size, size)
    return (apply_degradation(even, [params], mask_B1HW=mask, height=height) - even)[0].numpy()


def correlation(field: np.ndarray, shift: int) -> float:
    a, b = field[..., shift:], field[..., : field.shape[-1] - shift]
    return float((a * b).mean() / (field**2).mean())


@pytest.mark.parametrize("length", [0.0, 0.7, 1.5, 3.0])
@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_the_variance_does_not_depend_on_correlation(length: float, shared: float):
    got = noise(noise_read=0.02, noise_shot=0.0004, noise_length=length, noise_shared=shared)
    assert got.std() == pytest.approx(math.sqrt(0.02**2 + 0.0004 * 0.5), rel=0.02)
    channels = np.corrcoef(got.reshape(3, -1))
    assert channels[0, 1] == pytest.approx(shared, abs=0.03)
    assert channels[1, 2] == pytest.approx(shared, abs=0.03)


@pytest.mark.parametrize("length", [1.5, 2.0, 3.0])
def test_the_autocorrelation_is_the_gaussian_of_its_length(length: float):
    got = noise(noise_read=0.03, noise_length=length)
    # White noise under a Gaussian of deviation length / 2, which pixels integrate: + 1 / 12.
    spread = (length / 2) ** 2 + 1 / 12
    for shift in (1, 2, 4):
        assert correlation(got, shift) == pytest.approx(
            math.exp(-(shift**2) / 4 / spread), abs=0.03
        )
    assert abs(correlation(noise(noise_read=0.03), 1)) < 0.01


@pytest.mark.parametrize("length", [0.0, 1.0, 2.0, 3.0])
def test_a_larger_picture_reduced_shows_the_same_noise(length: float):
    fields = {"noise_read": 0.01, "noise_length": length}
    small = noise(512, **fields)
    large = torch.from_numpy(noise(1024, **fields))
    assert float(F.avg_pool2d(large, 2).std()) == pytest.approx(small.std(), rel=0.07)
    coarse = F.avg_pool2d(torch.from_numpy(small), 8).std()
    assert float(F.avg_pool2d(large, 16).std()) == pytest.approx(float(coarse), rel=0.07)


def test_shot_noise_grows_with_the_light():
    dark, bright = (noise(level=v, noise_shot=0.001, noise_length=1.5) for v in (0.1, 0.4))
    assert bright.std() == pytest.approx(2 * dark.std(), rel=0.02)


def test_a_crop_has_the_noise_of_its_picture():
    got = noise(192, noise_read=0.004, height=2048)
    assert got.std() == pytest.approx(0.016, rel=0.03)
    whole = noise(2048, noise_read=0.004)
    np.testing.assert_allclose(got, whole[:, :192, :192], atol=1e-6)


@pytest.mark.parametrize(
    "fields",
    [{"noise_shared": 1.2}, {"noise_length": -1.0}, {"noise_read": -0.1}, {"noise_seed": -1}],
)
def test_values_that_cannot_be_are_refused(fields: dict[str, object]):
    with pytest.raises(ValueError, match=f"{next(iter(fields))} of a degradation is"):
        DegradationParams(**fields)  # type: ignore[arg-type]
