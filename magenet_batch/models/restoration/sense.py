"""Sense: estimates what is wrong with an image, and the gain that each band of detail needs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.blocks import zero_linear
from magenet_batch.models.restoration.bands import BANDS, Bands
from magenet_batch.models.restoration.config import SenseConfig
from magenet_batch.models.restoration.statistics import STATISTICS

_MOST = 12.0  # maximum amplification of a band
ESTIMATES = ("blur", "noise", "jpeg")
_UNDOUBTED = {"blur": 0.3, "noise": 0.0035, "jpeg": 0.3}
"""Estimates above those of good photographs: pixels, share of the range, loss."""
_CLOSED, _OPEN = 0.7, 1.3  # largest estimate, in these units, up to which and from which to act


class Sensed(NamedTuple):
    """Output of Sense for a batch of images.

    Attributes:
        matrices: (B, `BANDS`, 3, 3), colour matrices that multiply each band; the identity changes
            nothing.
        condition: (B, C), condition of the sensor stage.
        blur: (B,), standard deviation of the blur, in pixels of the input.
        noise: (B,), standard deviation of the noise in the input, for a range of 0..1.
        jpeg: (B,), loss by compression, 0 (none) .. 1 (quality 25 and below).
        statistics: (B, `STATISTICS`), standardised, within 6 standard deviations.
    """

    matrices: torch.Tensor
    condition: torch.Tensor
    blur: torch.Tensor
    noise: torch.Tensor
    jpeg: torch.Tensor
    statistics: torch.Tensor

    @property
    def faulty(self) -> torch.Tensor:
        """Belief that blur, noise or compression are to be undone, (B,), 0..1.

        It reaches both ends. The grain of a good photograph is not noise: without it, what is left
        of the background looks like vessels.
        """
        return torch.stack([self._belief(name) for name in ESTIMATES]).amax(0)

    @property
    def only_blurred(self) -> torch.Tensor:
        """Belief that there is neither noise nor compression to be undone, (B,), 0..1."""
        return 1 - torch.maximum(self._belief("noise"), self._belief("jpeg"))

    def of(self, index: int) -> Sensed:
        """What was sensed of one image of the batch, still with a batch axis."""
        return Sensed(*(t[index : index + 1] for t in self))

    @classmethod
    def joined(cls, several: Sequence[Sensed]) -> Sensed:
        """The inverse of `of`: one batch."""
        return several[0] if len(several) == 1 else cls(*map(torch.cat, zip(*several, strict=True)))

    def _belief(self, name: str) -> torch.Tensor:
        found: torch.Tensor = getattr(self, name) / _UNDOUBTED[name]
        return ((found - _CLOSED) / (_OPEN - _CLOSED)).clamp(0, 1)


class Sense(nn.Module):
    """A perceptron on the statistics of an image's bands.

    The mean and spread of the statistics over the training images are stored with its weights. The
    gains of a new one are the identity.
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
        """Width of the condition."""
        return self.gains.in_features

    def forward(self, statistics_BN: torch.Tensor) -> Sensed:
        """Estimate what is wrong from the output of `band_statistics`, (B, `STATISTICS`)."""
        standardised = self.standardised(statistics_BN)
        z = standardised
        for layer in self.layers:
            z = F.silu(layer(z))
        eye = torch.eye(3, device=z.device)
        gains = (1 + self.gains(z)).clamp(0, _MOST)[:, :, None, None] * eye
        mixing = 0.3 * self.mixing(z).view(-1, BANDS, 3, 3)
        found = F.softplus(self.estimates(z))
        blur, noise, jpeg = found.unbind(1)
        return Sensed(gains + mixing, z, blur, noise, jpeg, standardised)

    def standardised(self, statistics_BN: torch.Tensor) -> torch.Tensor:
        """Statistics in standard deviations of the training images, at most 6."""
        return ((statistics_BN - self.mean) / self.spread).clamp(-6, 6)


def apply_matrices(bands: Bands, matrices: torch.Tensor) -> torch.Tensor:
    """Multiply each band by its matrix and recombine the image: (B, 3, H, W)."""
    rest = bands.rest.float()
    with torch.autocast(rest.device.type, enabled=False):  # the residual needs all its bits
        side_by_side = matrices.float().transpose(1, 2).flatten(2)
        y = torch.baddbmm(rest.flatten(2), side_by_side, bands.stacked.float().flatten(2))
    return y.view_as(rest)
