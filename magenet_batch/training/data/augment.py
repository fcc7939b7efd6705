"""Augmentation of clean images: geometry and colour, sampled as parameters, applied to a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from magenet_batch.training.data.config import AugmentConfig


@dataclass(frozen=True)
class AugmentParams:
    """One variation of one image.

    Attributes:
        angle: rotation, radians.
        zoom: magnification.
        shift: shift of the centre (x, y), fraction of the size.
        mirrored: whether left and right are exchanged.
        gain: factor for each channel.
        gamma: exponent of all channels.
        saturation: factor on the distance from grey.
    """

    angle: float = 0.0
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    mirrored: bool = False
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: float = 1.0
    saturation: float = 1.0


def sample_augmentation(rng: np.random.Generator, config: AugmentConfig) -> AugmentParams:
    """Draw one variation."""

    def factor(largest: float) -> float:
        return float(np.exp(rng.uniform(-1, 1) * math.log1p(largest)))

    geometry = AugmentParams(
        angle=math.radians(rng.uniform(-config.rotate, config.rotate)),
        zoom=float(rng.uniform(*config.zoom)),
        shift=(float(rng.uniform(-1, 1)) * config.shift, float(rng.uniform(-1, 1)) * config.shift),
        mirrored=bool(rng.random() < 0.5),
    )
    if rng.random() >= config.colour_share:
        return geometry
    return replace(
        geometry,
        gain=(factor(config.gain), factor(config.gain), factor(config.gain)),
        gamma=factor(config.gamma),
        saturation=float(1 + rng.uniform(-1, 1) * config.saturation),
    )


def warp(x_BCHW: torch.Tensor, params: Sequence[AugmentParams], *, size: int) -> torch.Tensor:
    """Rotate, zoom, shift and mirror images into squares of one size; outside is 0.

    Args:
        x_BCHW: square images, floating point.
        params: variations, one per image.
        size: side of the result, pixels.

    Returns:
        (B, C, size, size).
    """
    matrices = torch.tensor([_matrix(p) for p in params], dtype=torch.float32, device=x_BCHW.device)
    grid = F.affine_grid(matrices, [len(params), 1, size, size], align_corners=False)
    shrink = x_BCHW.shape[-1] // size
    source = F.avg_pool2d(x_BCHW, shrink) if shrink > 1 else x_BCHW  # avoids aliasing
    return F.grid_sample(source, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _matrix(p: AugmentParams) -> list[list[float]]:
    cos, sin = math.cos(p.angle) / p.zoom, math.sin(p.angle) / p.zoom
    flip = -1.0 if p.mirrored else 1.0
    return [[flip * cos, -sin, 2 * p.shift[0]], [flip * sin, cos, 2 * p.shift[1]]]


def recolour(x_BCHW: torch.Tensor, params: Sequence[AugmentParams]) -> torch.Tensor:
    """Vary colours by gamma, gain per channel and saturation; values stay in 0..1."""
    plain = AugmentParams()
    chosen = [
        i for i, p in enumerate(params)
        if (p.gamma, p.gain, p.saturation) != (plain.gamma, plain.gain, plain.saturation)
    ]  # fmt: skip
    if not chosen:
        return x_BCHW
    result = x_BCHW.clone()
    result[chosen] = _recoloured(x_BCHW[chosen], [params[i] for i in chosen])
    return result


def _recoloured(x_BCHW: torch.Tensor, params: Sequence[AugmentParams]) -> torch.Tensor:

    def column(values: Sequence[float | tuple[float, ...]]) -> torch.Tensor:
        return torch.tensor(values, device=x_BCHW.device).reshape(len(params), -1, 1, 1)

    x = x_BCHW.clamp_min(1e-6) ** column([p.gamma for p in params])
    x = x * column([p.gain for p in params])
    grey = x.mean(1, keepdim=True)
    return (grey + (x - grey) * column([p.saturation for p in params])).clamp(0, 1)
