"""One-sided light: `x (1 - s sigmoid(6 u))`, u the position along a direction, 0 at the centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from magenet_batch.degradation.kinds.base import ANY, SHARE, Kind, column, smooth_field, span


@dataclass(frozen=True, kw_only=True)
class Gradient:
    """Fields of `gradient`.

    Attributes:
        gradient_angle: direction in which the light falls off, radians.
        gradient_strength: share of the light that is lost from one side to the other, 0..1.
    """

    gradient_angle: float = 0.0
    gradient_strength: float = 0.0


def _sample(rng: np.random.Generator, severity: float) -> Gradient:
    return Gradient(
        gradient_angle=float(rng.uniform(0, 2 * np.pi)),
        gradient_strength=span(rng, severity, 0.1, 0.8),
    )


def _apply(x: torch.Tensor, params: Sequence[Gradient], height: int) -> torch.Tensor:
    angle = column(params, "gradient_angle", x)

    def slope(rows: torch.Tensor, columns: torch.Tensor, aspect: float) -> torch.Tensor:
        along = (columns - 0.5) * torch.cos(angle) + (rows - 0.5) * torch.sin(angle)
        return torch.sigmoid(6 * along)

    return x * (1 - column(params, "gradient_strength", x) * smooth_field(x, slope))


KIND = Kind(
    name="gradient",
    place=40,
    present=lambda p: p.gradient_strength != 0,
    sample=_sample,
    apply=_apply,
    losses=lambda p: (0.45 * p.gradient_strength,),
    limits={"gradient_angle": ANY, "gradient_strength": SHARE},
)
