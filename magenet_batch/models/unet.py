"""A plain U-Net with the input of MAGE-Net's last stage, as a baseline.

It stands for most published enhancement code (Ronneberger, Fischer and Brox, MICCAI 2015), with a
residual connection from input to output. It has the interface of MAGE-Net, so that the same code
trains and measures both.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.affine import Window
from magenet_batch.models.blocks import ChannelNorm, conv3, zero_conv
from magenet_batch.models.config import MageNetConfig
from magenet_batch.models.magenet import Crop, Enhanced, GlobalContext


class UNet(nn.Module):
    """Two convolutions per level, max pooling, transposed convolutions, concatenated skips.

    Of the configuration it uses only `local_widths`: channels at 1, 1/2, 1/4, ... of the size.
    """

    def __init__(self, config: MageNetConfig) -> None:
        super().__init__()
        self.config = config
        self.structure = None
        widths = config.local_widths

        def pair(inside: int, outside: int) -> nn.Sequential:
            return nn.Sequential(
                conv3(inside, outside), ChannelNorm(outside), nn.SiLU(),
                conv3(outside, outside), ChannelNorm(outside), nn.SiLU(),
            )  # fmt: skip

        self.encoders = nn.ModuleList(
            pair(a, b) for a, b in zip((3, *widths[:-1]), widths, strict=True)
        )
        pairs = list(pairwise(widths))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairs)
        self.decoders = nn.ModuleList(pair(2 * a, a) for a, _ in pairs)
        self.head = zero_conv(widths[0], 3)
        self.reach = 2 * sum(4 * 2**level for level in range(len(widths))) + 2 ** len(widths)
        """Radius in pixels beyond which no input influences an output pixel."""

    def forward(self, working_B3HW: torch.Tensor, *, crop: Crop | None = None) -> Enhanced:
        """Enhance whole images or a crop of them; see `MageNet.forward`."""
        x = working_B3HW if crop is None else crop.tile
        return Enhanced([self._restore(x)], None, local=True)

    def context(self, working_B3HW: torch.Tensor) -> GlobalContext:
        """Return an empty context: this network has no global stage."""
        none = working_B3HW.new_zeros(0)
        return GlobalContext([], none, None, none, None)

    def refine(
        self,
        tile_B3HW: torch.Tensor,
        context: GlobalContext,
        *,
        window: Window,
        height: int,
        width: int,
    ) -> torch.Tensor:
        """Enhance a window of the original; see `MageNet.refine`."""
        return self._restore(tile_B3HW)

    def _restore(self, image_B3HW: torch.Tensor) -> torch.Tensor:
        x, skips = image_B3HW, []
        for level, encoder in enumerate(self.encoders):
            x = encoder(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for level in reversed(range(len(self.ups))):
            x = self.decoders[level](torch.cat([self.ups[level](x), skips[level]], 1))
        result: torch.Tensor = image_B3HW + self.head(x).float()
        return result
