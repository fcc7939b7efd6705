"""A disc of uneven exposure, dark or bright.

`f = sigmoid((R - d) / e)`, `e = R softness / 4`; dark: `x (1 - 2 s f)`, because the missing light
is proportional to the light that is there; bright: `x + s f`. After the uneven exposure of Shen et
al. (IEEE TMI 2020). This is the last change of the light, so values are clipped to the sensor's
range, 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from magenet_batch.degradation.kinds.base import (
    ANY,
    NOT_NEGATIVE,
    Kind,
    column,
    distance,
    smooth_field,
    span,
)


@dataclass(frozen=True, kw_only=True)
class Hole:
    """Fields of `hole`.

    Attributes:
        hole_x: centre of the disc, fraction of the width.
        hole_y: centre of the disc from the top, fraction of the height.
        hole_radius: its radius, fraction of the height.
        hole_strength: added light inside; negative is dark.
        hole_softness: width of its edge relative to its radius.
    """

    hole_x: float = 0.5
    hole_y: float = 0.5
    hole_radius: float = 0.3
    hole_strength: float = 0.0
    hole_softness: float = 0.5


def _sample(rng: np.random.Generator, severity: float) -> Hole:
    dark = rng.random() < 0.75
    return Hole(
        hole_x=float(rng.uniform(0.25, 0.75)),
        hole_y=float(rng.uniform(0.3, 0.7)),
        hole_radius=float(rng.uniform(0.15, 0.38)),
        hole_strength=span(rng, severity, 0.05, 0.35) * (-1 if dark else 0.7),
        hole_softness=float(rng.uniform(0.4, 1.2)),
    )


def _apply(x: torch.Tensor, params: Sequence[Hole], height: int) -> torch.Tensor:
    centre = column(params, "hole_x", x), column(params, "hole_y", x)

    def disc(rows: torch.Tensor, columns: torch.Tensor, aspect: float) -> torch.Tensor:
        radius = column(params, "hole_radius", x)
        edge = (radius * column(params, "hole_softness", x) / 4).clamp_min(1e-3)
        return torch.sigmoid((radius - distance(rows, columns, aspect, *centre)) / edge)

    strength = column(params, "hole_strength", x) * smooth_field(x, disc)
    return x + torch.where(strength < 0, 2 * strength * x, strength)


KIND = Kind(
    name="hole",
    place=60,
    present=lambda p: p.hole_strength != 0,
    sample=_sample,
    apply=_apply,
    losses=lambda p: (0.9 * abs(p.hole_strength),),
    limits={
        "hole_x": ANY, "hole_y": ANY, "hole_radius": NOT_NEGATIVE, "hole_strength": (-1.0, 1.0),
        "hole_softness": NOT_NEGATIVE,
    },
    clips=True,
)  # fmt: skip
