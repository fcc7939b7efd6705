"""Loss of sharpness: a defocused eye or camera, eye movement, low resolution.

`x * k`, with k a kernel of standard deviation `sigma H` for every shape, so that strengths compare:

- `gaussian`: many small causes together, as in Shen et al. (IEEE TMI 2020);
- `disc`: defocus in geometrical optics, a uniform disc of radius `2 sigma H`;
- `box`: binned or enlarged pixels, a uniform square of side `sqrt(12) sigma H`;
- `motion`: a uniform line of length `sqrt(12) sigma H`; sigma is measured along the line.

Kernels other than the Gaussian are integrated over pixels, and their size is chosen so that the
standard deviation of the discrete kernel is exact, even below one pixel. For these shapes the image
is mirrored at its border; a Gaussian is normalised over the pixels that exist.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from magenet_batch.degradation.kinds.base import ANY, NOT_NEGATIVE, Kind, column, span

SHAPES = ("gaussian", "disc", "box", "motion")
_SHARES = (0.4, 0.3, 0.1, 0.2)  # probabilities of the shapes, as cameras produce them


@dataclass(frozen=True, kw_only=True)
class Blur:
    """Fields of `blur`.

    Attributes:
        blur_sigma: standard deviation of the kernel, fraction of the height.
        blur_shape: `gaussian`, `disc`, `box` or `motion`.
        blur_angle: direction of the motion, radians; 0 is along the rows, larger angles turn
            downwards.
    """

    blur_sigma: float = 0.0
    blur_shape: str = "gaussian"
    blur_angle: float = 0.0


def _sample(rng: np.random.Generator, severity: float) -> Blur:
    return Blur(blur_sigma=span(rng, severity, 0.0006, 0.013))


def _camera(rng: np.random.Generator, severity: float) -> Blur:
    shape = str(rng.choice(SHAPES, p=_SHARES))
    return Blur(
        blur_sigma=span(rng, severity, 0.0006, 0.013),
        blur_shape=shape,
        blur_angle=float(rng.uniform(0, np.pi)) if shape == "motion" else 0.0,
    )


def _apply(x: torch.Tensor, params: Sequence[Blur], height: int) -> torch.Tensor:
    blurred = [i for i, p in enumerate(params) if p.blur_sigma > 0]
    gaussian = [i for i in blurred if params[i].blur_shape == "gaussian"]
    x = x.clone()
    if gaussian:
        x[gaussian] = _gaussian(x[gaussian], [params[i] for i in gaussian], height)
    for i in blurred:
        if i not in gaussian:
            kernel = blur_kernel(params[i], height=height)
            x[i] = _convolve(x[i], torch.from_numpy(kernel).to(x))
    return x


def _gaussian(x: torch.Tensor, params: Sequence[Blur], height: int) -> torch.Tensor:
    """Gaussian blur as two matrix products, each image with its own standard deviation."""
    rows_of, columns_of = x.shape[-2:]
    sigma = column(params, "blur_sigma", x, ndim=3) * height
    rows = _gaussian_matrix(rows_of, sigma)
    columns = rows if columns_of == rows_of else _gaussian_matrix(columns_of, sigma)
    return rows[:, None] @ x @ columns[:, None].mT


def _gaussian_matrix(size: int, sigma: torch.Tensor) -> torch.Tensor:
    """Normalised Gaussians (B, size, size), one per row; sigma (B, 1, 1) in pixels, 0: identity."""
    at = torch.arange(size, device=sigma.device, dtype=torch.float32)
    apart = (at[:, None] - at[None, :]).square()
    weights = torch.exp(-apart / (2 * sigma.clamp_min(1e-3).square()))
    return weights / weights.sum(-1, keepdim=True)


def _convolve(x_CHW: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Convolve with a kernel (n, n), n odd, in the frequency domain, mirroring the border."""
    height, width = x_CHW.shape[-2:]
    reach = len(kernel) // 2
    rows = _mirrored(height, reach, x_CHW.device)
    columns = _mirrored(width, reach, x_CHW.device)
    padded = x_CHW[:, rows[:, None], columns]
    size = padded.shape[-2:]
    spectrum = torch.fft.rfft2(padded) * torch.fft.rfft2(kernel, s=size)
    whole = torch.fft.irfft2(spectrum, s=size)
    result: torch.Tensor = whole[:, 2 * reach :, 2 * reach :]
    return result


def _mirrored(size: int, reach: int, device: torch.device) -> torch.Tensor:
    """Indices of a range extended by `reach` pixels on both sides, mirrored at the edge pixels."""
    if size == 1:
        return torch.zeros(1 + 2 * reach, dtype=torch.long, device=device)
    at = torch.arange(-reach, size + reach, device=device) % (2 * size - 2)
    return torch.where(at < size, at, 2 * size - 2 - at)


def blur_kernel(p: Blur, *, height: int) -> np.ndarray:
    """Kernel of a shape other than the Gaussian: (n, n) float32, n odd, sum 1."""
    variance = (p.blur_sigma * height) ** 2
    if p.blur_shape == "disc":
        kernel = _disc(variance)
    elif p.blur_shape == "box":
        line = box_taps(p, height=height)
        kernel = line[:, None] * line
    else:
        kernel = _motion(variance, p.blur_angle)
    result: np.ndarray = (kernel / kernel.sum()).astype(np.float32)
    return result


def gaussian_taps(p: Blur, *, height: int) -> np.ndarray:
    """One dimension of the Gaussian kernel, cut at four standard deviations: (n,), n odd."""
    sigma = p.blur_sigma * height
    reach = max(1, math.ceil(4 * sigma))
    at = np.arange(-reach, reach + 1)
    taps = np.exp(-0.5 * (at / max(sigma, 1e-3)) ** 2)
    result: np.ndarray = taps / taps.sum()
    return result


def box_taps(p: Blur, *, height: int) -> np.ndarray:
    """One dimension of the box: full taps and two partial ones, so that sigma is exact: (n,).

    After the extended box filter of Gwosdek et al. (SSVM 2011).
    """
    variance = (p.blur_sigma * height) ** 2
    full = int((math.sqrt(1 + 12 * variance) - 1) / 2)
    taps = 2 * full + 1
    edge = (variance * taps - full * (full + 1) * taps / 3) / (2 * ((full + 1) ** 2 - variance))
    line = np.ones(taps + 2)
    line[[0, -1]] = edge
    result: np.ndarray = line / line.sum()
    return result


def _disc(variance: float) -> np.ndarray:
    """Area of the disc in each pixel, integrated along many lines."""
    radius = _disc_radius(variance)
    reach = math.ceil(radius - 0.5)
    at = np.arange(-reach, reach + 1)
    per_pixel = max(16, 128 // max(reach, 1))
    lines = (np.arange(len(at) * per_pixel) + 0.5) / per_pixel - 0.5 - reach
    half = np.sqrt(np.clip(radius**2 - lines**2, 0, None))[:, None]
    covered = np.clip(np.minimum(half, at + 0.5) - np.maximum(-half, at - 0.5), 0, None)
    kernel = covered.reshape(len(at), per_pixel, len(at)).sum(1)
    result: np.ndarray = kernel + kernel.T
    return result


def _disc_radius(variance: float) -> float:
    """Radius in pixels of the disc that has this variance per axis after pixel integration."""
    low, high = 0.5, 2 * math.sqrt(variance) + 1
    edges = np.arange(math.ceil(high) + 1) + 0.5
    for _ in range(3):
        radii = np.linspace(low, high, 48)
        u = np.minimum(edges / radii[:, None], 1)
        below = (u * np.sqrt(1 - u**2) + np.arcsin(u)) / np.pi  # of a semicircle, from its middle
        found = 2 * (np.diff(below, axis=1) * np.arange(1, len(edges)) ** 2).sum(1)
        above = int(np.clip(np.searchsorted(found, variance), 1, len(radii) - 1))
        low, high = radii[above - 1], radii[above]
    return float((low + high) / 2)


def _motion(variance: float, angle: float) -> np.ndarray:
    """Length of a centred line in each pixel that it crosses."""
    along = np.array([math.sin(angle), math.cos(angle)])  # row, column
    longest = math.sqrt(3 * variance) + 2
    steps = np.arange(math.ceil(longest) + 1) + 0.5
    cuts = np.concatenate([steps / max(abs(a), 1e-9) for a in along])
    cuts = np.concatenate([[0.0], np.sort(cuts[cuts < longest]), [longest]])
    middles = (cuts[:-1] + cuts[1:]) / 2
    pixels = np.rint(middles[:, None] * along).astype(int)
    squares = (pixels @ along) ** 2
    moments = np.concatenate([[0.0], np.cumsum(squares * np.diff(cuts))])
    # Find the half length T at which moments(T) = variance T: between two cuts both sides are
    # linear.
    k = int(np.argmax(moments[1:] > variance * cuts[1:]))
    half = (squares[k] * cuts[k] - moments[k]) / (squares[k] - variance)
    lengths = np.append(np.diff(cuts[: k + 1]), half - cuts[k])
    reach = int(np.abs(pixels[: k + 1]).max())
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for sign in (1, -1):
        rows, columns = (reach + sign * pixels[: k + 1]).T
        np.add.at(kernel, (rows, columns), lengths)
    return kernel


def _losses(p: Blur) -> tuple[float, ...]:
    # Motion blurs one direction only; the mean of both axes counts.
    sigma = p.blur_sigma / math.sqrt(2) if p.blur_shape == "motion" else p.blur_sigma
    return (1 - math.exp(-sigma / 0.005),)


KIND = Kind(
    name="blur",
    place=10,
    present=lambda p: p.blur_sigma > 0,
    sample=_sample,
    camera=_camera,
    apply=_apply,
    losses=_losses,
    limits={"blur_sigma": NOT_NEGATIVE, "blur_angle": ANY},
    choices={"blur_shape": SHAPES},
    whole=False,
)
