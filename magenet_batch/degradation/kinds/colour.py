"""Wrong exposure and tone: brightness, contrast, saturation.

`x B`; then `m + C (x - m)`, m the mean luma; then `l + S (x - l)`, l the pixel's luma (ITU-R
BT.601).

Shen et al. (IEEE TMI 2020) use brightness 0.7 .. 1.2, contrast and saturation 0.6 .. 1.4. Here
brightness goes down to 0.5 and the others to 0.55, because photographs in real archives are
under-exposed that far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from magenet_batch.degradation.kinds.base import NOT_NEGATIVE, Kind, column


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Fields of `colour`.

    Attributes:
        brightness: factor on all channels.
        contrast: factor on the distance from the mean lightness.
        saturation: factor on the distance from grey.
    """

    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0


def _sample(rng: np.random.Generator, severity: float) -> Colour:
    def around_one(down: float, up: float) -> float:
        share = severity * rng.uniform(0.2, 1.0)
        return float(1.0 - down * share if rng.random() < 0.6 else 1.0 + up * share)

    return Colour(
        brightness=around_one(0.5, 0.3),
        contrast=around_one(0.45, 0.4),
        saturation=around_one(0.45, 0.4),
    )


def _apply(x: torch.Tensor, params: Sequence[Colour], height: int) -> torch.Tensor:
    x = x * column(params, "brightness", x)
    mean = _grey(x).mean((-2, -1), keepdim=True)
    x = mean + (x - mean) * column(params, "contrast", x)
    grey = _grey(x)
    return grey + (x - grey) * column(params, "saturation", x)


def _grey(x: torch.Tensor) -> torch.Tensor:
    """ITU-R BT.601 luma, (B, 1, H, W)."""
    return 0.299 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:3]


def _losses(p: Colour) -> tuple[float, ...]:
    exposure = 1.2 * max(0.0, 1 - p.brightness) + 1.0 * max(0.0, p.brightness - 1)
    return exposure, 0.6 * max(0.0, 1 - p.contrast)


KIND = Kind(
    name="colour",
    place=80,
    present=lambda p: (p.brightness, p.contrast, p.saturation) != (1.0, 1.0, 1.0),
    sample=_sample,
    apply=_apply,
    losses=_losses,
    limits=dict.fromkeys(("brightness", "contrast", "saturation"), NOT_NEGATIVE),
    clips=True,
)
