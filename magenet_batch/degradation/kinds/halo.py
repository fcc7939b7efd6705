"""Leaked light: an annulus, or a crescent if its centre lies to one side.

`x + s V exp(-(d - R)^2 / 2 w^2)`, d the distance from the centre, V the colour of the light. After
the light leak of Shen et al. (IEEE TMI 2020), with more colours and with crescents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from magenet_batch.degradation.kinds.base import (
    ANY,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    Kind,
    column,
    distance,
    jittered,
    smooth_field,
    span,
)

# The two tints of Shen et al., warm white, and the yellow-green and orange of flare in photographs
# through a cataract.
_LEAK_RGB = np.array(
    [(0.55, 0.93, 0.93), (0.69, 0.76, 0.58), (1.0, 0.95, 0.8), (0.85, 0.9, 0.45), (1.0, 0.7, 0.35)]
)


@dataclass(frozen=True, kw_only=True)
class Halo:
    """Fields of `halo`.

    Attributes:
        halo_x: centre of the annulus, fraction of the width (can lie outside the picture).
        halo_y: centre of the annulus, fraction of the height.
        halo_radius: radius of the annulus, fraction of the height.
        halo_width: standard deviation of its profile, fraction of the height.
        halo_strength: added light at its crest, 0..1.
        halo_rgb: its colour, 0..1 per channel.
    """

    halo_x: float = 0.5
    halo_y: float = 0.5
    halo_radius: float = 0.5
    halo_width: float = 0.1
    halo_strength: float = 0.0
    halo_rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)


def _sample(rng: np.random.Generator, severity: float) -> Halo:
    crescent = rng.random() < 0.5
    offset = rng.uniform(0.15, 0.5) if crescent else rng.uniform(0.0, 0.125)
    angle = rng.uniform(0, 2 * np.pi)
    return Halo(
        halo_x=float(0.5 + offset * np.cos(angle)),
        halo_y=float(0.5 + offset * np.sin(angle)),
        halo_radius=float(rng.uniform(0.36, 0.6)),
        halo_width=float(rng.uniform(0.03, 0.16)),
        halo_strength=span(rng, severity, 0.05, 0.6),
        halo_rgb=jittered(rng, _LEAK_RGB),
    )


def _apply(x: torch.Tensor, params: Sequence[Halo], height: int) -> torch.Tensor:
    centre = column(params, "halo_x", x), column(params, "halo_y", x)

    def annulus(rows: torch.Tensor, columns: torch.Tensor, aspect: float) -> torch.Tensor:
        off_crest = distance(rows, columns, aspect, *centre) - column(params, "halo_radius", x)
        return torch.exp(-0.5 * (off_crest / column(params, "halo_width", x)).square())

    strength = column(params, "halo_strength", x) * column(params, "halo_rgb", x)
    return x + strength * smooth_field(x, annulus)


KIND = Kind(
    name="halo",
    place=50,
    present=lambda p: p.halo_strength != 0,
    sample=_sample,
    apply=_apply,
    losses=lambda p: (0.8 * p.halo_strength,),
    limits={
        "halo_x": ANY, "halo_y": ANY, "halo_radius": NOT_NEGATIVE, "halo_width": POSITIVE,
        "halo_strength": SHARE, "halo_rgb": SHARE,
    },
)  # fmt: skip
