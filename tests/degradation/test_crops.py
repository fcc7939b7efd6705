"""The fast path of training crops, held against the batched one."""

import math
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from magenet_batch.degradation import DegradationParams, preset, sample_degradation
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.degradation.crops import degrade_crop
from magenet_batch.degradation.kinds.blur import SHAPES
from magenet_batch.degradation.kinds.jpeg import CODERS


def crop(height: int = 96, width: int = 80, *, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1, (height, width, 3)).astype(np.float32)


def by_torch(pixels: np.ndarray, params: DegradationParams, *, height: int) -> np.ndarray:
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    mask = torch.ones(1, 1, *pixels.shape[:2])
    got = apply_degradation(image, [params], mask_B1HW=mask, height=height)
    return got[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("shape", ["disc", "box", "motion"])
@pytest.mark.parametrize("sigma", [0.0005, 0.002, 0.006, 0.013])
@pytest.mark.parametrize("angle", [0.0, 0.9])
def test_even_shapes_are_those_of_torch_everywhere(shape: str, sigma: float, angle: float):
    params = DegradationParams(blur_sigma=sigma, blur_shape=shape, blur_angle=angle)
    got = degrade_crop(crop(), params, height=700)
    np.testing.assert_allclose(got, by_torch(crop(), params, height=700), atol=5e-6)


@pytest.mark.parametrize("sigma", [0.0005, 0.002, 0.006, 0.013])
def test_gaussians_are_those_of_torch_away_from_the_border(sigma: float):
    params = DegradationParams(blur_sigma=sigma)
    got, expected = (f(crop(), params, height=700) for f in (degrade_crop, by_torch))
    inside = slice(n := math.ceil(4 * sigma * 700), -n)
    # What lies beyond four standard deviations weighs 6e-5.
    np.testing.assert_allclose(got[inside, inside], expected[inside, inside], atol=1e-4)
    assert np.abs(got - expected).mean() < 0.02  # noise of 0.29 with another border


@pytest.mark.parametrize("length", [0.0, 0.8, 2.0])
@pytest.mark.parametrize("shared", [0.0, 0.4])
@pytest.mark.parametrize("height", [256, 1300])
def test_noise_is_that_of_torch(length: float, shared: float, height: int):
    params = DegradationParams(
        noise_read=0.01, noise_shot=0.0006, noise_seed=2**30 + 1019, noise_length=length,
        noise_shared=shared,
    )  # fmt: skip
    got = degrade_crop(crop(), params, height=height)
    np.testing.assert_allclose(got, by_torch(crop(), params, height=height), atol=2e-6)


@pytest.mark.parametrize("length", [0.0, 1.6, 3.0])
def test_noise_has_the_stated_statistics(length: float):
    even = np.full((512, 512, 3), 0.5, np.float32)
    params = DegradationParams(
        noise_read=0.02, noise_shot=0.0004, noise_seed=77, noise_length=length, noise_shared=0.3
    )
    noise = degrade_crop(even, params, height=512) - even
    assert noise.std() == pytest.approx(math.sqrt(0.02**2 + 0.0004 * 0.5), rel=0.02)
    assert abs(noise.mean()) < 3e-4
    assert np.corrcoef(noise.reshape(-1, 3).T)[0, 2] == pytest.approx(0.3, abs=0.03)
    neighbours = (noise[:, 1:] * noise[:, :-1]).mean() / (noise**2).mean()
    expected = math.exp(-1 / 4 / ((length / 2) ** 2 + 1 / 12)) if length else 0
    assert neighbours == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("coder", CODERS)
def test_compression_is_that_of_torch(coder: str):
    params = DegradationParams(jpeg_quality=55, jpeg_coder=coder)
    got = degrade_crop(crop(), params, height=900)
    np.testing.assert_allclose(got, by_torch(crop(), params, height=900), atol=1e-6)


def test_all_together_is_that_of_torch():
    smooth = cv2.GaussianBlur(crop(160, 160), (0, 0), 3)
    params = DegradationParams(
        blur_sigma=0.004, blur_shape="disc", noise_read=0.02, noise_length=1.0, noise_seed=3,
        jpeg_quality=60, jpeg_coder="libjpeg-420",
    )  # fmt: skip
    got, expected = (f(smooth, params, height=512) for f in (degrade_crop, by_torch))
    # A value that rounds to the other side changes the coefficients of its block a little.
    assert np.abs(got - expected).mean() < 2e-4


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 60), st.integers(16, 5000),
    st.sampled_from(["sensor", "sensor:blur", "evaluation:noise", "camera_evaluation:jpeg"]),
)  # fmt: skip
def test_any_crop_stays_in_range(seed: int, h: int, w: int, height: int, name: str):
    pixels = crop(h, w, seed=seed)
    before = pixels.copy()
    params = sample_degradation(np.random.default_rng(seed), preset(name))
    got = degrade_crop(pixels, params, height=height)
    assert got.shape == pixels.shape
    assert got.dtype == np.float32
    assert 0 <= got.min() <= got.max() <= 1
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(got, degrade_crop(pixels, params, height=height))
    if not params.kinds():
        np.testing.assert_array_equal(got, pixels)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_blur_is_the_identity(shape: str):
    params = DegradationParams(blur_shape=shape, noise_length=2.0, noise_shared=0.5)
    np.testing.assert_array_equal(degrade_crop(crop(), params, height=64), crop())


@pytest.mark.slow
def test_a_crop_takes_milliseconds():
    """Four times what it takes on one thread of a slow machine, so that a busy one passes."""
    rng, pixels = np.random.default_rng(3), crop(192, 192)
    how = replace(preset("sensor"), untouched=0.0)
    params = [sample_degradation(rng, how) for _ in range(40)]
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        degrade_crop(pixels, DegradationParams(noise_read=0.1), height=1024)  # makes the bank
        start = time.thread_time()
        for p in params:
            degrade_crop(pixels, p, height=1024)
        assert (time.thread_time() - start) / len(params) < 0.02
    finally:
        cv2.setNumThreads(threads)


def test_what_a_crop_cannot_have_is_refused():
    nothing = DegradationParams()
    with pytest.raises(ValueError, match=r"not \(4, 4\) float32"):
        degrade_crop(np.zeros((4, 4), np.float32), nothing, height=64)
    with pytest.raises(ValueError, match="floating point"):
        degrade_crop(np.zeros((4, 4, 3), np.uint8), nothing, height=64)
    with pytest.raises(ValueError, match="height is 0"):
        degrade_crop(crop(), nothing, height=0)
    with pytest.raises(ValueError, match="not support 'haze', only blur, noise, jpeg"):
        degrade_crop(crop(), DegradationParams(haze_strength=0.3), height=64)
