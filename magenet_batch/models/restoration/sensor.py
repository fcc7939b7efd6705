"""Sensor stage: undoes blur, noise and compression by gains of bands, over scales and in space.

Sense provides one matrix per band for the whole image (attention over scales). A small network on
half-resolution features adds to it at each position (attention in space): a vessel keeps its edge
where the background is smoothed. The network also sees the vessel map of the structure module. Both
contributions are initially zero, so that a new stage is the identity.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.blocks import (
    Down,
    Up,
    added,
    added_product,
    conv3,
    conv_to_planes,
    conv_unshuffled,
    doubled,
    silu,
    tanh,
    zero_conv,
    zero_linear,
)
from magenet_batch.models.restoration.bands import BANDS, REACH, Bands, detail_bands
from magenet_batch.models.restoration.config import SensorConfig
from magenet_batch.models.restoration.sense import Sensed, apply_matrices

_FULL = 4  # bands whose local gains are set per pixel; coarser bands per 2 x 2 pixels
_MIDDLE = 0.4  # middle of the range of pixel values


class ToldBlock(nn.Module):
    """Two convolutions and a residual connection; Sense's condition drives channel attention."""

    def __init__(self, channels: int, hidden: int, told: int) -> None:
        super().__init__()
        self.first = conv3(channels, hidden)
        self.second = conv3(hidden, channels)
        self.tell = zero_linear(told, 2 * hidden)

    def forward(self, x_BCHW: torch.Tensor, condition_BC: torch.Tensor) -> torch.Tensor:
        """Compute features of the same shape."""
        scale, shift = self.tell(condition_BC).to(x_BCHW.dtype).chunk(2, 1)
        if len(condition_BC) > 1 or torch.is_grad_enabled():
            scale, shift = scale[:, :, None, None], shift[:, :, None, None]
            y = torch.addcmul(shift, self.first(x_BCHW), 1 + scale)
        else:  # the same as part of the convolution, which saves a pass over the features
            factor, bias = 1 + scale[0], self.first.bias
            assert bias is not None
            weight = self.first.weight * factor.view(-1, 1, 1, 1)
            y = F.conv2d(x_BCHW, weight, bias * factor + shift[0], padding=1)
        return added(self.second(silu(y)), x_BCHW)


class SensorStage(nn.Module):
    """An encoder-decoder that sets gains of bands; nothing in it depends on the tile's position."""

    def __init__(self, config: SensorConfig, *, told: int) -> None:
        super().__init__()
        widths = config.widths
        self.guided = config.guided
        self.most = config.residual
        self.strength = config.strength
        self.unsure = config.strength if config.unsure is None else config.unsure
        self.reach = REACH
        """Radius in pixels beyond which no input influences an output pixel."""
        self.local = bool(widths)
        if not widths:
            return
        self.stem = conv3(12 + (4 if config.guided else 0), widths[0])
        hidden = (config.hidden or widths[0], *widths[1:])
        blocks = [*zip(widths, hidden, strict=True)]
        self.encoders = nn.ModuleList(ToldBlock(c, h, told) for c, h in blocks)
        self.downs = nn.ModuleList(Down(a, b) for a, b in pairwise(widths))
        self.ups = nn.ModuleList(Up(b, a) for a, b in pairwise(widths))
        self.decoders = nn.ModuleList(ToldBlock(c, h, told) for c, h in blocks[:-1])
        self.summary: nn.Module = nn.Identity()
        last, kernel = widths[0], 3
        if config.summary is not None:
            self.summary, last, kernel = conv3(widths[0], config.summary), config.summary, 1
        # Per band, a gain for each channel's own detail and one for the detail that the channels
        # share.
        self.fine = zero_conv(last, 4 * 2 * _FULL, kernel=kernel)
        self.coarse = zero_conv(last, 2 * (BANDS - _FULL), kernel=kernel)
        self.residual = zero_conv(last, 12, kernel=kernel) if config.residual else None
        deep = sum(2 * 2**level * (2 if level < len(widths) - 1 else 1) * 2
                   for level in range(len(widths)))  # fmt: skip
        self.reach = max(deep + 2 * 4 + 2 ** (len(widths) + 1), REACH)

    def forward(
        self,
        x_B3HW: torch.Tensor,
        sensed: Sensed,
        vessels_B1HW: torch.Tensor | None,
        *,
        bands: Bands | None = None,
    ) -> torch.Tensor:
        """Undo the faults of the sensor.

        Args:
            x_B3HW: images or tiles, RGB, 0..1, sides multiples of 8, continued smoothly outside the
                field of view.
            sensed: output of Sense for the whole images.
            vessels_B1HW: probability of vessel, 0..1; None if the stage is not guided.
            bands: bands of `x_B3HW`, if they are already known.

        Returns:
            (B, 3, H, W) float32, not clipped.
        """
        x = x_B3HW.float()
        bands = bands if bands is not None else detail_bands(x)
        y = apply_matrices(bands, sensed.matrices)
        if not self.local:
            return y
        seen = x - _MIDDLE
        if self.guided:
            assert vessels_B1HW is not None
            seen = torch.cat([seen, vessels_B1HW.float()], 1)
        features = self._features(seen, sensed.condition)
        heads = [self.fine] if self.residual is None else [self.fine, self.residual]
        fine = _enlarged(heads, features)
        coarse = doubled(self.coarse(features).float().contiguous())
        shared = torch.zeros_like(y[:, :1])
        for k, band in enumerate(bands.detail):
            gains, first = (fine, 2 * k) if k < _FULL else (coarse, 2 * (k - _FULL))
            own, common = gains[:, first : first + 1], gains[:, first + 1 : first + 2]
            y = added_product(y, own, band)
            shared = added_product(shared, common, _grey(band))
        y = added(y, shared)
        if self.residual is not None:
            y = torch.add(y, tanh(fine[:, 2 * _FULL :]), alpha=self.most)
        return y

    def strengths(self, vessels_B1HW: torch.Tensor | None) -> torch.Tensor | float:
        """Multiple of the stage's changes that is applied to images without noise.

        It rises from `strength` to `unsure` as the probability of vessel comes near 1/2: there
        squared errors taught the weakest changes.

        Returns:
            (B, 1, H, W), or one number for all positions.
        """
        if vessels_B1HW is None or self.unsure == self.strength:
            return self.strength
        vessels = vessels_B1HW.float()
        doubt = torch.addcmul(vessels, vessels, vessels, value=-1)
        return self.strength + 4 * (self.unsure - self.strength) * doubt

    def _features(self, seen: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        x = conv_unshuffled(seen, self.stem)
        skips = []
        for level, encoder in enumerate(self.encoders):
            x = encoder(x, condition)
            skips.append(x)
            x = self.downs[level](x) if level < len(self.downs) else x
        for level in reversed(range(len(self.ups))):
            x = self.decoders[level](added(self.ups[level](x), skips[level]), condition)
        features: torch.Tensor = self.summary(silu(x))
        return features


def _grey(x_B3HW: torch.Tensor) -> torch.Tensor:
    """Mean of the channels, (B, 1, H, W): as a product, which is several times as fast."""
    third = x_B3HW.new_full((1, 3), 1 / 3)
    return (third @ x_B3HW.flatten(2)).view_as(x_B3HW[:, :1])


def _enlarged(convs: list[nn.Conv2d], x_BCHW: torch.Tensor) -> torch.Tensor:
    """Apply convolutions with four outputs per position as 2 x 2 pixels each: float32 planes."""
    weight = torch.cat([conv.weight for conv in convs])
    bias = torch.cat([conv.bias for conv in convs if conv.bias is not None])
    return conv_to_planes(x_BCHW, weight, bias)
