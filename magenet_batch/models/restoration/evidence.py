"""Evidence that light was added in front of the eye, and is not what the eye reflects.

    x = a d + b around each spot, per channel, by weighted least squares

d is the light that is thought to be added. Dust and droplets add the same light in red, green and
blue, and the slopes a are alike and near 1. What belongs to the eye takes the place of what lies
behind it: a cotton-wool spot hardly changes red, where the eye is bright anyway, and an exudate
or a haemorrhage hardly changes blue. A reflex with sharp edges is brighter than the soft d that was
found in it, so that a > 1, and taking d away would leave a ring. Where the eye itself is grey,
colours tell nothing.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F

_WINDOW = 1 / 32  # standard deviation of the weights around a spot, share of the square
_ALIKE = (0.6, 0.75)  # least slope over largest: from no evidence on, to full evidence
_EXPLAINED = (0.5, 0.65)  # share of the variance that d explains, in two of three channels
_WEAK, _STRONG = (0.6, 0.75), (1.25, 1.1)  # mean slope, from below and from above
_GREY = (0.75, 0.6)  # darkest over brightest channel of the surroundings
_CELL = 4  # side of the cells in which evidence is looked for, pixels
_LEAST = 1e-9


def evidence(
    x_B3SS: torch.Tensor, added_B3SS: torch.Tensor, mask_B1SS: torch.Tensor
) -> torch.Tensor:
    """How far the images show that light was added, around each spot: (B, 1, S, S), 0..1.

    The cell with a spot's strongest point decides for all of it.

    Args:
        x_B3SS: squares around the field of view, RGB, 0..1, black outside it.
        added_B3SS: the light that is thought to be added, 0 where there is none; S a multiple of 4.
        mask_B1SS: field of view, 0 or 1.
    """
    size = x_B3SS.shape[-1]
    to_cells = _weights(size // _CELL, size, x_B3SS.device)
    d = added_B3SS.mean(1, keepdim=True) * mask_B1SS
    x = x_B3SS * mask_B1SS
    sums = _averaged(torch.cat([mask_B1SS, d, d * d, x, x * x, x * d], 1), to_cells)
    within, *means = torch.split(sums, [1, 1, 1, 3, 3, 3], dim=1)
    d_mean, d_square, x_mean, x_square, product = (t / within.clamp_min(1e-3) for t in means)
    d_spread = (d_square - d_mean.square()).clamp_min(_LEAST)
    x_spread = (x_square - x_mean.square()).clamp_min(_LEAST)
    together = product - x_mean * d_mean
    slope = together / d_spread
    explained = (together.square() / (d_spread * x_spread)).median(1, keepdim=True).values
    slopes = slope.mean(1, keepdim=True)
    shown = (
        _ramp(_darkest_over_brightest(slope), _ALIKE)
        * _ramp(explained, _EXPLAINED)
        * _ramp(slopes, _WEAK) * _ramp(slopes, _STRONG)
        * _ramp(_darkest_over_brightest(x_mean), _GREY)
    )  # fmt: skip
    height = F.max_pool2d(d.abs(), _CELL)
    top = height * (height >= F.max_pool2d(height, 3, stride=1, padding=1))
    between = _weights(size // _CELL, size // _CELL, x_B3SS.device)
    decided, weight = _averaged(torch.cat([top * shown, top], 1), between).chunk(2, dim=1)
    return F.interpolate(decided / weight.clamp_min(_LEAST), size=(size, size), mode="nearest")


def _darkest_over_brightest(x_B3SS: torch.Tensor) -> torch.Tensor:
    return x_B3SS.amin(1, keepdim=True) / x_B3SS.amax(1, keepdim=True).clamp_min(1e-3)


def _ramp(x: torch.Tensor, ends: tuple[float, float]) -> torch.Tensor:
    """From 0 at the first end to 1 at the second."""
    none, full = ends
    return ((x - none) / (full - none)).clamp(0, 1)


def _averaged(x_BCSS: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return weights @ x_BCSS @ weights.T


@lru_cache(maxsize=8)
def _weights(to: int, of: int, device: torch.device) -> torch.Tensor:
    """Gaussian weights of each pixel of a line for each cell of it: (to, of) float32."""
    with torch.inference_mode(False):  # cached, and training may be the next caller
        cells, pixels = ((torch.arange(n) + 0.5) / n for n in (to, of))
        weights = torch.exp(-0.5 * ((pixels - cells[:, None]) / _WINDOW).square())
        return (weights / weights.sum(1, keepdim=True)).to(device)
