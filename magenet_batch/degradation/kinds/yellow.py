"""The ageing lens: `x exp(-(0.02, 0.16, 0.9) y)` per channel (Beer, Lambert).

It absorbs strongly in blue and slightly in green.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from magenet_batch.degradation.kinds.base import NOT_NEGATIVE, Kind, column, span

_ABSORPTION_RGB = (0.02, 0.16, 0.9)


@dataclass(frozen=True, kw_only=True)
class Yellow:
    """Fields of `yellow`.

    Attributes:
        yellow: absorption of the ageing lens, 0..1.
    """

    yellow: float = 0.0


def _sample(rng: np.random.Generator, severity: float) -> Yellow:
    return Yellow(yellow=span(rng, severity, 0.1, 1.0))


def _apply(x: torch.Tensor, params: Sequence[Yellow], height: int) -> torch.Tensor:
    absorption = torch.tensor(_ABSORPTION_RGB, device=x.device).view(1, 3, 1, 1)
    return x * torch.exp(-absorption * column(params, "yellow", x))


KIND = Kind(
    name="yellow",
    place=20,
    present=lambda p: p.yellow > 0,
    sample=_sample,
    apply=_apply,
    losses=lambda p: (0.35 * p.yellow,),
    limits={"yellow": NOT_NEGATIVE},
    whole=False,
)
