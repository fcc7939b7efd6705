"""Dust and droplets on the objective: `x + sum a exp(-d^2 / 2 (r/2)^2)`.

After the artefacts of Shen et al. (IEEE TMI 2020): 5 to 20 spots; here 6 of 10 are bright and the
others dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from magenet_batch.degradation.kinds.base import Kind, span


@dataclass(frozen=True)
class Spot:
    """One soft artefact: dust or a droplet on the lens.

    Attributes:
        x: centre from the left, fraction of the width.
        y: centre from the top, fraction of the height.
        radius: Gaussian radius (two standard deviations), fraction of the height.
        amplitude: added intensity, -1..1; negative is a dark spot.
    """

    x: float
    y: float
    radius: float
    amplitude: float

    def __post_init__(self) -> None:
        if not (
            self.radius > 0 and abs(self.amplitude) <= 1 and np.isfinite([self.x, self.y]).all()
        ):
            raise ValueError(
                f"invalid spot: {self}; x and y must be finite, radius above 0, amplitude -1 .. 1"
            )


@dataclass(frozen=True, kw_only=True)
class Spots:
    """Fields of `spots`.

    Attributes:
        spots: soft artefacts.
    """

    spots: tuple[Spot, ...] = ()


def _sample(rng: np.random.Generator, severity: float) -> Spots:
    def one() -> Spot:
        sign = 1.0 if rng.random() < 0.6 else -1.0
        return Spot(
            x=float(rng.uniform(0.05, 0.95)),
            y=float(rng.uniform(0.05, 0.95)),
            radius=float(rng.uniform(0.01, 0.05)),
            amplitude=sign * span(rng, severity, 0.04, 0.3),
        )

    return Spots(spots=tuple(one() for _ in range(int(rng.integers(5, 21)))))


def _apply(x: torch.Tensor, params: Sequence[Spots], height: int) -> torch.Tensor:
    """Add all spots of an image as one matrix product, since a Gaussian is separable."""
    rows_of, columns_of = x.shape[-2:]
    most = max(len(p.spots) for p in params)
    table = torch.zeros(len(params), most, 4)
    table[..., 2] = 1.0
    for i, p in enumerate(params):
        for j, spot in enumerate(p.spots):
            table[i, j] = torch.tensor([spot.x, spot.y, spot.radius, spot.amplitude])
    at_x, at_y, radius, amplitude = table.to(x.device).unbind(-1)
    sigma = radius[..., None] / 2
    rows = (torch.arange(rows_of, device=x.device) + 0.5) / rows_of
    columns = (torch.arange(columns_of, device=x.device) + 0.5) / columns_of
    up = torch.exp(-0.5 * ((rows - at_y[..., None]) / sigma).square()) * amplitude[..., None]
    aspect = columns_of / rows_of
    across = torch.exp(-0.5 * ((columns - at_x[..., None]) * aspect / sigma).square())
    return x + (up.mT @ across)[:, None]


KIND = Kind(
    name="spots",
    place=70,
    present=lambda p: bool(p.spots),
    sample=_sample,
    apply=_apply,
    losses=lambda p: (max((abs(s.amplitude) for s in p.spots), default=0.0),),
    limits={},
    decode={"spots": lambda entries: tuple(Spot(**entry) for entry in entries)},
    clips=True,
)
