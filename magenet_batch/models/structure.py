"""The retinal structure preservation (RSP) module: a small vessel segmentation network."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn

from magenet_batch.models.blocks import (
    AttentionBlock,
    Down,
    Up,
    conv3,
    conv_to_planes,
    conv_unshuffled,
)
from magenet_batch.models.config import StructureConfig


class Structure(NamedTuple):
    """Output of the structure module.

    Attributes:
        logits: (B, 1, H, W); their sigmoid is the probability of vessel.
        features: features at 1/2, 1/4 and 1/8 of the size.
    """

    logits: torch.Tensor
    features: tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class StructureModule(nn.Module):
    """A U-Net that segments vessels; height and width must be multiples of 16."""

    def __init__(self, config: StructureConfig) -> None:
        super().__init__()
        w = config.widths
        self.feature_channels = (w[0], w[1], w[2])
        self.stem = conv3(12, w[0])

        def block(channels: int) -> AttentionBlock:
            return AttentionBlock(channels, attention=True, normalised=False)

        self.encoders = nn.ModuleList(block(c) for c in w)
        self.downs = nn.ModuleList(Down(a, b) for a, b in pairwise(w))
        self.ups = nn.ModuleList(Up(b, a) for a, b in pairwise(w))
        self.decoders = nn.ModuleList(block(c) for c in w[:-1])
        self.head = nn.Conv2d(w[0], 4, 3, padding=1)

    def forward(self, x_B3HW: torch.Tensor) -> Structure:
        """Detect vessels.

        Args:
            x_B3HW: whole images at the working size, RGB, 0..1.

        Returns:
            Logits at the same size, and features.
        """
        x = conv_unshuffled(2 * x_B3HW - 0.6, self.stem)
        skips = []
        for encoder, down in zip(self.encoders, [*self.downs, nn.Identity()], strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        features = []
        for level in reversed(range(len(self.ups))):
            x = self.decoders[level](self.ups[level](x) + skips[level])
            features.append(x)
        eighth, quarter, half = features
        logits = conv_to_planes(half, self.head.weight, self.head.bias)
        return Structure(logits, (half, quarter, eighth))
