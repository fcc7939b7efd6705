"""The veil of a clouded lens or of scattered flash, after Koschmieder.

`x (1 - v) + V v`, `v = s exp(-d^2 / 2 q^2)`: a veil of colour V whose density falls with the
distance d from its densest point. Strengths and colours are those of photographs through a
cataract.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from magenet_batch.degradation.kinds.base import (
    ANY,
    POSITIVE,
    SHARE,
    Kind,
    column,
    distance,
    jittered,
    smooth_field,
    span,
)

_VEIL_RGB = np.array([(0.62, 0.6, 0.52), (0.72, 0.62, 0.42), (0.55, 0.6, 0.6), (0.6, 0.62, 0.4)])


@dataclass(frozen=True, kw_only=True)
class Haze:
    """Fields of `haze`.

    Attributes:
        haze_strength: 1 - transmission of the veil at its densest point, 0..1.
        haze_rgb: colour of the veil, 0..1 per channel.
        haze_x: densest point, fraction of the width.
        haze_y: densest point, fraction of the height.
        haze_spread: standard deviation of the density, fraction of the height; large is an even
            veil.
    """

    haze_strength: float = 0.0
    haze_rgb: tuple[float, float, float] = (0.7, 0.7, 0.6)
    haze_x: float = 0.5
    haze_y: float = 0.5
    haze_spread: float = 2.0


def _sample(rng: np.random.Generator, severity: float) -> Haze:
    even = rng.random() < 0.4
    return Haze(
        haze_strength=span(rng, severity, 0.08, 0.88),
        haze_rgb=jittered(rng, _VEIL_RGB),
        haze_x=float(rng.uniform(0.2, 0.8)),
        haze_y=float(rng.uniform(0.2, 0.8)),
        haze_spread=float(3.0 if even else rng.uniform(0.25, 0.8)),
    )


def _apply(x: torch.Tensor, params: Sequence[Haze], height: int) -> torch.Tensor:
    centre = column(params, "haze_x", x), column(params, "haze_y", x)

    def bump(rows: torch.Tensor, columns: torch.Tensor, aspect: float) -> torch.Tensor:
        away = distance(rows, columns, aspect, *centre)
        return torch.exp(-(away.square()) / (2 * column(params, "haze_spread", x).square()))

    density = column(params, "haze_strength", x) * smooth_field(x, bump)
    return torch.lerp(x, column(params, "haze_rgb", x).expand_as(x), density)


KIND = Kind(
    name="haze",
    place=30,
    present=lambda p: p.haze_strength > 0,
    sample=_sample,
    apply=_apply,
    losses=lambda p: ((0.8 if p.haze_spread >= 1 else 0.7) * p.haze_strength,),
    limits={
        "haze_strength": SHARE, "haze_rgb": SHARE, "haze_x": ANY, "haze_y": ANY,
        "haze_spread": POSITIVE,
    },
)  # fmt: skip
