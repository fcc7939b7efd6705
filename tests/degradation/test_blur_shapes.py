"""Kernels of every shape: their standard deviation, their spectra, and what they do to pixels."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, special

from magenet_batch.degradation import DegradationParams
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.degradation.kinds.blur import SHAPES, Blur, blur_kernel, gaussian_taps

EVEN = ("disc", "box", "motion")


def kernel_of(shape: str, sigma: float, angle: float = 0.0) -> np.ndarray:
    return blur_kernel(
        Blur(blur_sigma=sigma / 512, blur_shape=shape, blur_angle=angle), height=512
    ).astype(np.float64)


def deviation(kernel: np.ndarray, angle: float) -> float:
    """Standard deviation of a kernel along a direction."""
    at = np.arange(len(kernel)) - len(kernel) // 2
    along = at * math.cos(angle) + at[:, None] * math.sin(angle)
    return math.sqrt((kernel * along**2).sum())


def picture(height: int, width: int) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(4).uniform(0, 1, (1, 3, height, width)).astype(np.float32)
    )


def blurred(image: torch.Tensor, *, height: int | None = None, **fields: object) -> torch.Tensor:
    mask = torch.ones(1, 1, *image.shape[-2:])
    params = DegradationParams(**fields)  # type: ignore[arg-type]
    return apply_degradation(image, [params], mask_B1HW=mask, height=height)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(EVEN), st.floats(0.15, 40), st.floats(-7, 7))
def test_every_shape_has_the_stated_deviation(shape: str, sigma: float, angle: float):
    kernel = kernel_of(shape, sigma, angle)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert kernel.min() >= 0
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-7)
    # To two percent of a pixel's own deviation, or two in a thousand.
    assert deviation(kernel, angle) == pytest.approx(sigma, rel=2e-3, abs=4e-3)
    across = deviation(kernel, angle + math.pi / 2)
    assert (
        across <= 0.41 if shape == "motion" else across == pytest.approx(sigma, rel=4e-3, abs=4e-3)
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("angle", [0.0, 0.6])
def test_spectra_are_those_of_the_continuous_shapes(shape: str, angle: float):
    """Transfer at a frequency f: exp, jinc and sinc in closed form."""
    sigma, frequency = 8.0, np.linspace(0.002, 0.07, 12)
    if shape == "gaussian":
        taps = gaussian_taps(Blur(blur_sigma=sigma / 512), height=512)
        kernel = np.outer(taps, taps)
    else:
        kernel = kernel_of(shape, sigma, angle)
    at = np.arange(len(kernel)) - len(kernel) // 2
    # A box is looked at along its side: the angle of a motion turns nothing else.
    turned = angle if shape == "motion" else 0.0
    along = at * math.cos(turned) + at[:, None] * math.sin(turned)
    got = [(kernel * np.cos(2 * np.pi * f * along)).sum() for f in frequency]
    ring = 2 * np.pi * frequency * 2 * sigma
    expected = {
        "gaussian": np.exp(-2 * (np.pi * frequency * sigma) ** 2),
        "disc": 2 * special.j1(ring) / ring,
        "box": np.sinc(math.sqrt(12) * sigma * frequency),
        "motion": np.sinc(math.sqrt(12) * sigma * frequency),
    }[shape]
    np.testing.assert_allclose(got, expected, atol=6e-3)


@pytest.mark.parametrize("shape", EVEN)
@pytest.mark.parametrize("size", [(40, 61), (75, 32), (9, 9)])
@pytest.mark.parametrize("sigma", [0.4, 2.3, 6.1])
def test_pixels_are_those_of_a_convolution_with_a_mirror(
    shape: str, size: tuple[int, int], sigma: float
):
    image = picture(*size)
    got = blurred(image, blur_sigma=sigma / size[0], blur_shape=shape, blur_angle=0.7)
    p = Blur(blur_sigma=sigma / size[0], blur_shape=shape, blur_angle=0.7)
    kernel = blur_kernel(p, height=size[0])
    for channel in range(3):
        expected = ndimage.convolve(image[0, channel].double().numpy(), kernel, mode="mirror")
        np.testing.assert_allclose(got[0, channel], expected, atol=2e-6)


def test_motion_blurs_what_lies_across_it_alone():
    columns = torch.zeros(1, 3, 64, 64)
    columns[..., ::8] = 1
    rows = columns.mT
    along = {"blur_sigma": 3 / 64, "blur_shape": "motion", "blur_angle": 0.0}
    torch.testing.assert_close(blurred(rows, **along), rows, atol=1e-6, rtol=0)
    assert float(blurred(columns, **along).std()) < 0.3 * float(columns.std())
    torch.testing.assert_close(
        blurred(rows, **along | {"blur_angle": math.pi / 2}), blurred(columns, **along).mT
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_a_crop_is_blurred_as_the_whole_picture_is(shape: str):
    whole = picture(120, 100)
    fields = {"blur_sigma": 0.02, "blur_shape": shape, "blur_angle": 1.1}
    crop = blurred(whole[..., 20:90, 10:80], height=120, **fields)
    # Where the border is out of reach: 4.5 standard deviations of a Gaussian.
    expected = blurred(whole, **fields)[..., 31:79, 21:69]
    torch.testing.assert_close(crop[..., 11:-11, 11:-11], expected, atol=2e-5, rtol=0)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(SHAPES), st.floats(0, 0.2), st.integers(1, 40), st.integers(1, 40))
def test_an_even_picture_stays_even_at_every_size(shape: str, sigma: float, h: int, w: int):
    even = torch.full((1, 3, h, w), 0.3)
    got = blurred(even, blur_sigma=sigma, blur_shape=shape, blur_angle=0.3)
    torch.testing.assert_close(got, even, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"blur_shape": "square"}, "blur_shape of a degradation is 'square'; choose one of gauss"),
        (
            {"blur_sigma": -0.1},
            "blur_sigma of a degradation is -0.1; it must be a number of 0 .. 1e",
        ),
        ({"blur_sigma": math.nan}, "blur_sigma"),
        ({"blur_angle": math.inf}, "blur_angle"),
    ],
)
def test_values_that_cannot_be_are_refused(fields: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        DegradationParams(**fields)  # type: ignore[arg-type]
