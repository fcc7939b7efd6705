"""Sense: what is wrong with an image, and the gain that each band of detail needs."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.blocks import zero_linear
from magenet_batch.models.restoration.bands import BANDS
from magenet_batch.models.restoration.config import SenseConfig
from magenet_batch.models.restoration.statistics import STATISTICS

_MOST = 12.0  # times that a band is amplified
ESTIMATES = ("blur", "noise", "jpeg")


class Sensed(NamedTuple):
    """What Sense says of images.

    Attributes:
        matrices: (B, `BANDS`, 3, 3), what each band's channels are multiplied by; the identity
            changes nothing.
        condition: (B, C), what the sensor stage is told.
        blur: (B,), standard deviation of the blur in pixels of the image that was shown.
        noise: (B,), standard deviation of the noise there, of a range of 0..1.
        jpeg: (B,), loss by compression, 0 (none) .. 1 (quality 25 and below).
    """

    matrices: torch.Tensor
    condition: torch.Tensor
    blur: torch.Tensor
    noise: torch.Tensor
    jpeg: torch.Tensor


class Sense(nn.Module):
    """A perceptron on the statistics of an image's bands.

    `mean` and `spread` of the statistics over the training images are part of its weights. A new
    one has the identity for gains.
    """

    mean: torch.Tensor
    spread: torch.Tensor

    def __init__(self, config: SenseConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(STATISTICS))
        self.register_buffer("spread", torch.ones(STATISTICS))
        widths = (STATISTICS, *config.hidden)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.gains = zero_linear(widths[-1], BANDS)
        self.mixing = zero_linear(widths[-1], 9 * BANDS)
        self.estimates = nn.Linear(widths[-1], len(ESTIMATES))

    @property
    def width(self) -> int:
        """Numbers in the condition."""
        return self.gains.in_features

    def forward(self, statistics_BN: torch.Tensor) -> Sensed:
        """From statistics of `band_statistics` to what is wrong."""
        z = ((statistics_BN - self.mean) / self.spread).clamp(-6, 6)
        for layer in self.layers:
            z = F.silu(layer(z))
        eye = torch.eye(3, device=z.device)
        gains = (1 + self.gains(z)).clamp(0, _MOST)[:, :, None, None] * eye
        mixing = 0.3 * self.mixing(z).view(-1, BANDS, 3, 3)
        found = F.softplus(self.estimates(z))
        return Sensed(gains + mixing, z, *found.unbind(1))


def apply_matrices(
    bands: list[torch.Tensor], rest_B3HW: torch.Tensor, matrices: torch.Tensor
) -> torch.Tensor:
    """The image whose bands are multiplied by the matrices: (B, 3, H, W)."""
    y = rest_B3HW
    for k, band in enumerate(bands):
        y = y + torch.einsum("bij,bjhw->bihw", matrices[:, k].to(band.dtype), band)
    return y
