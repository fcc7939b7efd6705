"""Scatter: gives back the contrast that vessels lost to light scattered within the eye.

    y = (x - s W) / (1 - s),    W the light around a pixel, s the share that is scattered

undoes `x = (1 - s) y + s W` (`degradation/kinds/scatter.py`): every detail is multiplied by
1 / (1 - s), and the light around it stays. s comes from the one structure whose contrast is known
beforehand: vessels absorb green alike in all eyes. Where those of an image have less contrast than
those of all but few sharp photographs, the difference is what scatter took. One number per image
neither invents nor moves anything, and contrast to noise stays as it is.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.restoration.config import ScatterConfig
from magenet_batch.models.restoration.fields import Planes

SIZE = 256
"""Side of the square around the field of view on which contrast is measured, pixels."""
GRID = 32
"""Side of the planes of gain and offset, pixels."""
_COARSE, _LIGHT = 1.75, 8.0  # standard deviations around a vessel, and of its light; pixels
_LINES = 0.05  # share of the field of view that is most likely vessel
_LIT = 0.03  # green level from which relative contrast is measured
_AROUND = 0.05  # standard deviation of W, share of the side
_LEAST = 1e-4


class ScatterStage(nn.Module):
    """The contrast of vessels in sharp photographs, and what an image lacks of it.

    A new stage expects no contrast, and thus changes nothing.
    """

    expected: torch.Tensor
    spread: torch.Tensor

    def __init__(self, config: ScatterConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("expected", torch.tensor(-20.0))
        self.register_buffer("spread", torch.tensor(1.0))

    def acts(self, blur: float, noise: float, jpeg: float) -> bool:
        """Whether faults, as for `forward`, leave the stage anything to do for an image."""
        config = self.config
        faults = (
            (1000 * blur, config.blurred),
            (100 * noise, config.noisy),
            (jpeg, config.compressed),
        )
        return all(found < most for found, (_, most) in faults)

    def forward(
        self,
        contrast_B: torch.Tensor,
        seen_B: torch.Tensor,
        blur_B: torch.Tensor,
        noise_B: torch.Tensor,
        jpeg_B: torch.Tensor,
    ) -> torch.Tensor:
        """Estimate the scattered share of images.

        Args:
            contrast_B: contrast of their vessels, from `vessel_contrast`, (B,).
            seen_B: how surely vessels are seen, 0..1, alike.
            blur_B: standard deviation of their blur, share of the side, alike.
            noise_B: standard deviation of their noise, for a range of 0..1, alike.
            jpeg_B: loss by compression, 0..1, alike.

        Returns:
            (B,), 0..`most`; 0 where contrast is not below what is usual.
        """
        config = self.config
        least = self.expected - config.below * self.spread
        lacking = (least - torch.log(contrast_B.clamp_min(_LEAST))).clamp_min(0)
        sure = _ramp(seen_B, config.sure)
        sure = sure * (1 - _ramp(1000 * blur_B, config.blurred))
        sure = sure * (1 - _ramp(100 * noise_B, config.noisy))
        sure = sure * (1 - _ramp(jpeg_B, config.compressed))
        return (1 - torch.exp(-lacking * sure)).clamp_max(config.most)


def _ramp(x: torch.Tensor, between: tuple[float, float]) -> torch.Tensor:
    """0 up to the first number, 1 from the second, linear in between."""
    low, high = between
    return ((x - low) / max(high - low, _LEAST)).clamp(0, 1)


def vessel_contrast(
    y_B3SS: torch.Tensor, vessels_B1SS: torch.Tensor, mask_B1SS: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Measure how much darker than their surroundings vessels are, in green.

    Args:
        y_B3SS: squares of `SIZE` pixels around the field of view, RGB, 0..1.
        vessels_B1SS: probability of vessel, 0..1.
        mask_B1SS: field of view, 0 or 1.

    Returns:
        The mean of (surroundings - vessel) / light over the pixels that are most likely vessel, and
        the mean of that probability, (B,) each; 0 where nothing is lit.
    """
    green = y_B3SS[:, 1:2] * mask_B1SS
    coarse, light = (_seen_from_afar(green, mask_B1SS, *how) for how in ((_COARSE, 2), (_LIGHT, 4)))
    dark = (coarse - green) / light.clamp_min(_LIT)
    lit = mask_B1SS * (light > _LIT)
    most = round(_LINES * dark[0].numel())
    likely, at = torch.topk(vessels_B1SS.masked_fill(lit == 0, -1).flatten(1), most)
    wanted = (_LINES * lit.sum((1, 2, 3))).round()
    chosen = (torch.arange(most, device=dark.device) < wanted[:, None]).to(dark.dtype)
    count = chosen.sum(1).clamp_min(1)
    contrast = (dark.flatten(1).gather(1, at) * chosen).sum(1) / count
    return contrast, (likely * chosen).sum(1) / count


def unscattered(
    light: Planes, x_B3SS: torch.Tensor, mask_B1SS: torch.Tensor, share_B: torch.Tensor
) -> Planes:
    """Undo scatter after light and veil.

    Args:
        light: gain and offset of light and veil, on planes of `GRID` pixels.
        x_B3SS: images that they are applied to, reduced, 0..1, black outside the field of view.
        mask_B1SS: field of view, 0 or 1.
        share_B: scattered share of each image, from `ScatterStage`.

    Returns:
        Gain and offset of both.
    """
    share = share_B.view(-1, 1, 1, 1)
    x, inside = reduced(x_B3SS, GRID), reduced(mask_B1SS, GRID)
    even = light.apply(x / inside.clamp_min(_LEAST)).clamp(0, 1) * inside
    wings = _around(even, inside, _AROUND * GRID)
    return Planes(
        torch.where(share > 0, light.gain / (1 - share), light.gain),
        torch.where(share > 0, (light.offset + share * wings) / (1 - share), light.offset),
        light.saturation,
    )


def reduced(x_BCSS: torch.Tensor, size: int) -> torch.Tensor:
    """Reduce squares by area; by a whole factor, slices are several times as fast as pooling."""
    factor, rest = divmod(x_BCSS.shape[-1], size)
    if rest or not 1 < factor <= 4:
        return F.interpolate(x_BCSS, size=(size, size), mode="area")
    total = x_BCSS.new_zeros(*x_BCSS.shape[:2], size, size)
    for down in range(factor):
        for across in range(factor):
            total += x_BCSS[..., down::factor, across::factor]
    return total / factor**2


def _seen_from_afar(
    x_B1SS: torch.Tensor, mask_B1SS: torch.Tensor, sigma: float, factor: int
) -> torch.Tensor:
    """Gaussian mean inside the mask, taken on a reduced copy; x is 0 outside the mask."""
    size = x_B1SS.shape[-1] // factor
    mean = _around(reduced(x_B1SS, size), reduced(mask_B1SS, size), sigma / factor)
    return F.interpolate(mean, size=x_B1SS.shape[-2:], mode="bilinear", align_corners=False)


def _around(x_BCSS: torch.Tensor, mask_B1SS: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian mean inside the mask; x is 0 outside it."""
    blur = _gaussian_matrix(x_BCSS.shape[-1], sigma, x_BCSS.device)
    sums, weight = (blur @ t @ blur.T for t in (x_BCSS, mask_B1SS))
    return sums / weight.clamp_min(1e-3)


@lru_cache(maxsize=16)
def _gaussian_matrix(size: int, sigma: float, device: torch.device) -> torch.Tensor:
    """Matrix of a Gaussian blur along one axis that loses what passes the edge: (size, size)."""
    with torch.inference_mode(False):  # cached, and training may be the next caller
        at = torch.arange(size, dtype=torch.float32)
        weights = torch.exp(-0.5 * ((at[:, None] - at) / sigma).square())
        return (weights / weights.sum(1).max()).to(device)
