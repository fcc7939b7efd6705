"""Forward scatter in the eye's media: `x (1 - s) + s (G * x)`, G a wide Gaussian.

The glare function of the eye has a sharp core and wide wings, and a cataract moves light from the
core into the wings (Vos and van den Berg, CIE 135/1, 1999). Unlike `haze`, the light that veils the
fundus has the fundus's own colour: contrast is lost and nothing looks foggy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from magenet_batch.degradation.kinds.base import POSITIVE, SHARE, Kind, column, span

_SIZE = 64  # rows on which the wings are computed: they are wide
_LIT = 0.02  # level above which a pixel belongs to the fundus
_LEAST = 1e-3


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """Fields of `scatter`.

    Attributes:
        scatter_share: share of the light that is scattered, 0..1.
        scatter_width: standard deviation of the wings, fraction of the height.
    """

    scatter_share: float = 0.0
    scatter_width: float = 0.25


def _sample(rng: np.random.Generator, severity: float) -> Scatter:
    return Scatter(
        scatter_share=span(rng, severity, 0.08, 0.75),
        scatter_width=float(np.exp(rng.uniform(np.log(0.08), np.log(0.6)))),
    )


def _apply(x: torch.Tensor, params: Sequence[Scatter], height: int) -> torch.Tensor:
    lit = (x.amax(1, keepdim=True) > _LIT).to(x.dtype)
    rows = min(_SIZE, x.shape[-2])
    columns = max(1, round(rows * x.shape[-1] / x.shape[-2]))
    light, inside = (F.interpolate(t, size=(rows, columns), mode="area") for t in (x * lit, lit))
    width = column(params, "scatter_width", x, ndim=3) * rows
    down, across = (_gaussian(n, width) for n in (rows, columns))
    spread, weight = ((down[:, None] @ t @ across[:, None]) for t in (light, inside))
    wings = F.interpolate(
        spread / weight.clamp_min(_LEAST), size=x.shape[-2:], mode="bilinear", align_corners=False
    )
    return torch.lerp(x, wings, column(params, "scatter_share", x))


def _gaussian(count: int, width_B11: torch.Tensor) -> torch.Tensor:
    """Symmetric matrices that blur `count` values by Gaussians of these widths, not normalised."""
    at = torch.arange(count, device=width_B11.device, dtype=torch.float32)
    return torch.exp(-0.5 * ((at[:, None] - at) / width_B11).square())


KIND = Kind(
    name="scatter",
    place=25,
    present=lambda p: p.scatter_share > 0,
    sample=_sample,
    apply=_apply,
    losses=lambda p: (0.8 * p.scatter_share,),
    limits={"scatter_share": SHARE, "scatter_width": POSITIVE},
)
