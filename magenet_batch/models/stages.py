"""The three stages of MAGE-Net: two see the whole image, one sees the original's own pixels."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.affine import Affine
from magenet_batch.models.blocks import (
    AttentionBlock,
    ChannelNorm,
    Down,
    StructureGate,
    SupervisedAttention,
    Up,
    added,
    conv3,
    conv_shuffled,
    resize_like,
    scaled,
    zero_conv,
    zero_linear,
)
from magenet_batch.models.statistics import DescribeColour
from magenet_batch.models.wavelets import reach, wavelet_bands


class StageOutput(NamedTuple):
    """Output of a global stage.

    Attributes:
        image: the supervised image, (B, 3, H, W).
        affine: its colour transform at half the stage's size, relative to the stage's input.
        encoder: features per level, from 1/2 of the stage's size down.
        decoder: the same of the decoder; the first is attended by the supervised image.
        description: the whole image as a vector, (B, C).
    """

    image: torch.Tensor
    affine: Affine
    encoder: list[torch.Tensor]
    decoder: list[torch.Tensor]
    description: torch.Tensor


class GlobalStage(nn.Module):
    """An encoder-decoder on the whole image that predicts local colour transforms."""

    def __init__(
        self,
        widths: tuple[int, ...],
        *,
        image_channels: int,
        attention: bool,
        supervised_attention: bool,
        structure_channels: tuple[int, ...] | None,
        fused_widths: tuple[int, ...] | None,
        statistics: bool,
    ) -> None:
        super().__init__()
        self.stem = conv3(4 * image_channels, widths[0])
        self.encoders = nn.ModuleList(AttentionBlock(c, attention=attention) for c in widths)
        pairs = list(pairwise(widths))
        self.downs = nn.ModuleList(Down(a, b) for a, b in pairs)
        self.ups = nn.ModuleList(Up(b, a) for a, b in pairs)
        self.decoders = nn.ModuleList(AttentionBlock(c, attention=attention) for c in widths[:-1])
        self.guides = (
            nn.ModuleList(
                StructureGate(w, s) for w, s in zip(widths, structure_channels, strict=False)
            )
            if structure_channels
            else None
        )
        # Fusion joins levels of equal resolution: level k + 1 here is level k of the coarser stage.
        self.fuse_encoder: nn.ModuleList | None
        self.fuse_decoder: nn.ModuleList | None
        self.fuse_encoder, self.fuse_decoder = (
            (
                nn.ModuleList(
                    nn.Conv2d(f, w, 1) for f, w in zip(fused_widths[:-1], widths[1:], strict=True)
                ),
                nn.ModuleList(
                    nn.Conv2d(f, w, 1) for f, w in zip(fused_widths[:-1], widths[1:], strict=True)
                ),
            )
            if fused_widths
            else (None, None)
        )
        self.norm = ChannelNorm(widths[0])
        self.describe = nn.LayerNorm(widths[-1])
        self.describe_colour = DescribeColour(widths[-1]) if statistics else None
        self.head = zero_conv(widths[0], 12)
        # Light and colour of the whole image: one transform for all positions, from the deepest
        # level.
        self.tone = zero_linear(widths[-1], 12)
        self.supervised_attention = SupervisedAttention(widths[0]) if supervised_attention else None

    def forward(
        self,
        images_BCHW: torch.Tensor,
        base_B3HW: torch.Tensor,
        *,
        structure: tuple[torch.Tensor, ...] | None,
        fused: StageOutput | None,
        statistics: torch.Tensor | None,
    ) -> StageOutput:
        """Run the stage.

        Args:
            images_BCHW: all input images of the stage, concatenated.
            base_B3HW: the image that its transforms apply to.
            structure: features of the structure module, or None without one.
            fused: output of the coarser stage, or None without fusion.
            statistics: statistics of the input's colours, (B, STATISTICS), or None without them.

        Returns:
            The stage's image, transforms and features.
        """
        x = self.stem(F.pixel_unshuffle(images_BCHW, 2))
        skips: list[torch.Tensor] = []
        for level, encoder in enumerate(self.encoders):
            if level and fused is not None and self.fuse_encoder and self.fuse_decoder:
                x = x + resize_like(self.fuse_encoder[level - 1](fused.encoder[level - 1]), x)
                x = x + resize_like(self.fuse_decoder[level - 1](fused.decoder[level - 1]), x)
            x = encoder(x)
            skips.append(x)
            x = self.downs[level](x) if level < len(self.downs) else x
        description = self.describe(x.mean((2, 3)))
        if self.describe_colour is not None:
            description = description + self.describe_colour(statistics)
        decoded = [x]
        for level in reversed(range(len(self.ups))):
            skip = skips[level]
            if self.guides is not None and structure is not None and level < len(self.guides):
                skip = self.guides[level](skip, structure[level])
            x = self.decoders[level](self.ups[level](x) + skip)
            decoded.insert(0, x)
        x = self.norm(x)
        affine = Affine.from_raw(self.head(x) + self.tone(description)[:, :, None, None])
        enlarged = F.interpolate(
            affine.packed(), scale_factor=2, mode="bilinear", align_corners=False
        )
        image = Affine.unpacked(enlarged).apply(base_B3HW.float())
        if self.supervised_attention is not None:
            decoded[0] = self.supervised_attention(x, image.to(x.dtype))
        return StageOutput(image, affine, skips, decoded, description)


class LocalStage(nn.Module):
    """An encoder-decoder on tiles of the original; nothing in it depends on the tile's position.

    Its channel attention is driven by a description of the whole image, and only pixels within
    `reach` can influence an output pixel.
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        *,
        condition_channels: int,
        described_by: int,
        attention: bool,
        gate: bool,
        bands: int,
    ) -> None:
        super().__init__()
        self.stem = conv3(24 + condition_channels, widths[0])

        def block(channels: int) -> AttentionBlock:
            return AttentionBlock(channels, attention=attention, described_by=described_by)

        self.encoders = nn.ModuleList(block(c) for c in widths)
        pairs = list(pairwise(widths))
        self.downs = nn.ModuleList(Down(a, b) for a, b in pairs)
        self.ups = nn.ModuleList(Up(b, a) for a, b in pairs)
        self.decoders = nn.ModuleList(block(c) for c in widths[:-1])
        self.norm = ChannelNorm(widths[0])
        self.residual = zero_conv(widths[0], 12)
        self.bands = zero_conv(widths[0], 4 * bands) if bands else None
        self.local_gate = zero_conv(widths[0], 4, bias=2.0) if gate else None
        self.global_gate = zero_linear(described_by, 1) if gate else None
        per_block = 2 + (2 if attention else 0)
        blocks = sum(
            per_block * 2**level * (2 if level < len(widths) - 1 else 1)
            for level in range(len(widths))
        )
        self.reach = max(2 * blocks + 2 * 2 + 2 ** (len(widths) + 1), reach(bands))
        """Radius in pixels beyond which no input influences an output pixel."""

    def forward(
        self,
        input_B3HW: torch.Tensor,
        base_B3HW: torch.Tensor,
        condition_BCHW: torch.Tensor,
        description_BC: torch.Tensor,
    ) -> torch.Tensor:
        """Refine a tile.

        Args:
            input_B3HW: the tile of the original, RGB, 0..1; sides multiples of 8.
            base_B3HW: the same tile after the global stages.
            condition_BCHW: features of the global stages at half the tile's size.
            description_BC: the whole image as a vector.

        Returns:
            The enhanced tile, (B, 3, H, W), not clipped.
        """
        dtype = condition_BCHW.dtype
        both = torch.cat([input_B3HW, base_B3HW], 1).to(dtype)
        x = self._stem(both.contiguous(memory_format=torch.channels_last), condition_BCHW)
        skips = []
        for level, encoder in enumerate(self.encoders):
            x = encoder(x, description_BC)
            skips.append(x)
            x = self.downs[level](x) if level < len(self.downs) else x
        for level in reversed(range(len(self.ups))):
            x = self.decoders[level](added(self.ups[level](x), skips[level]), description_BC)
        x = self.norm(x)
        convs = [c for c in (self.residual, self.bands, self.local_gate) if c is not None]
        biases = [conv.bias for conv in convs if conv.bias is not None]
        heads = conv_shuffled(x, torch.cat([c.weight for c in convs]), torch.cat(biases)).float()
        limited = torch.tanh(heads)  # all at once is faster than some of them
        change = added(limited[:, :3], base_B3HW) - input_B3HW
        if self.bands is not None:
            strengths = torch.split(limited[:, 3:], 1, 1)
            for k, band in enumerate(wavelet_bands(base_B3HW, len(self.bands.weight) // 4)):
                change = added(change, scaled(band, strengths[k]))
        if self.global_gate is None:
            return added(change, input_B3HW)
        logits = heads[:, -1:] + self.global_gate(description_BC)[:, :, None, None].float()
        return added(scaled(change, torch.sigmoid(logits)), input_B3HW)

    def _stem(self, both_B6HW: torch.Tensor, condition_BCHW: torch.Tensor) -> torch.Tensor:
        """First convolution, on 2 x 2 pixels as channels together with the condition.

        A 3x3 convolution after `pixel_unshuffle(2)` equals one of 6x6 with stride 2 before it: the
        same products, without two more copies of the tile.
        """
        weight = self.stem.weight
        pixels, condition = weight[:, :24], weight[:, 24:]
        wide = torch.unflatten(pixels, 1, (6, 2, 2)).permute(0, 1, 4, 2, 5, 3).reshape(-1, 6, 6, 6)
        x = F.conv2d(both_B6HW, wide, self.stem.bias, stride=2, padding=2)
        return added(x, F.conv2d(condition_BCHW, condition, padding=1))
