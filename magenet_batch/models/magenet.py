"""MAGE-Net trained as a whole (architecture `affine`), applied to a whole image or tile by tile.

After Guo, Fu, Zhou and Xu, "Bridging Synthetic and Real Images: a Transferable and Multiple
Consistency aided Fundus Image Enhancement Framework", IEEE TMI 42(8), 2023. The paper names the
components; `docs/affine.md` describes how they are implemented here and which numbers are ours.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.affine import Affine, Window, cut_resized
from magenet_batch.models.config import MageNetConfig
from magenet_batch.models.stages import GlobalStage, LocalStage, StageOutput
from magenet_batch.models.statistics import colour_statistics
from magenet_batch.models.structure import Structure, StructureModule

ALIGNMENT = 32  # the global stages need sides that are multiples of this
TILE_ALIGNMENT = 8  # tile edges are multiples of this


class GlobalContext(NamedTuple):
    """What a tile needs to know about the whole image, besides its own pixels.

    Attributes:
        images: the supervised images of the global stages, coarse first.
        affine: all colour transforms so far, combined, as one tensor (B, 12, h, w).
        condition: features for the local stage (B, C, h, w), None below three stages.
        description: the whole image as a vector, (B, C).
        structure: output of the structure module for the input, None without one.
    """

    images: list[torch.Tensor]
    affine: torch.Tensor
    condition: torch.Tensor | None
    description: torch.Tensor
    structure: Structure | None


class Crop(NamedTuple):
    """A rectangle of the original at its own resolution.

    Attributes:
        tile: (B, 3, h, w), RGB, 0..1; even edges, sides multiples of 8.
        window: position of the tile in the original.
        height: height of the whole original, pixels.
        width: width of the whole original, pixels.
    """

    tile: torch.Tensor
    window: Window
    height: int
    width: int


class Enhanced(NamedTuple):
    """The network's outputs.

    Attributes:
        images: one per stage, coarse first; the last is the enhanced image. Not clipped.
        structure: output of the structure module for the input, None without one.
        local: whether the last image shows only the crop given to the last stage; the other images
            always show the whole.
    """

    images: list[torch.Tensor]
    structure: Structure | None
    local: bool


class MageNet(nn.Module):
    """The multi-stage multi-attention guided enhancement network."""

    def __init__(self, config: MageNetConfig) -> None:
        super().__init__()
        self.config = config
        self.structure = StructureModule(config.structure_net) if config.structure else None
        guided = self.structure.feature_channels if self.structure else None
        shared = {
            "attention": config.attention,
            "supervised_attention": config.supervised_attention,
            "statistics": config.statistics,
        }
        # The coarse stage runs at half the working size, so its level k takes the structure
        # module's features of level k + 1.
        self.coarse = GlobalStage(
            config.coarse_widths, image_channels=3, fused_widths=None,
            structure_channels=guided[1:] if guided else None, **shared,
        )  # fmt: skip
        self.fine: GlobalStage | None = None
        self.local: LocalStage | None = None
        if config.stages >= 2:
            self.fine = GlobalStage(
                config.fine_widths, image_channels=6, structure_channels=guided,
                fused_widths=config.coarse_widths if config.fusion else None, **shared,
            )  # fmt: skip
        if config.stages == 3:
            described_by = config.fine_widths[-1]
            self.to_condition = nn.Conv2d(config.fine_widths[0], config.condition_channels, 1)
            self.local = LocalStage(
                config.local_widths,
                condition_channels=config.condition_channels + (1 if guided else 0),
                described_by=described_by, attention=config.attention, gate=config.gate,
                bands=config.bands,
            )  # fmt: skip

    def forward(self, working_B3HW: torch.Tensor, *, crop: Crop | None = None) -> Enhanced:
        """Enhance whole images, or a crop of them at a higher resolution.

        Args:
            working_B3HW: whole images, RGB, 0..1, sides multiples of 32.
            crop: the input of the last stage; None for the whole images as they are.

        Returns:
            The outputs of all stages; those of the global stages show the whole image.
        """
        context = self.context(working_B3HW)
        if self.local is None:
            return Enhanced(context.images, context.structure, local=False)
        if crop is None:
            height, width = working_B3HW.shape[-2:]
            crop = Crop(working_B3HW, Window.whole(height, width), height, width)
        refined = self.refine(
            crop.tile, context, window=crop.window, height=crop.height, width=crop.width
        )
        return Enhanced([*context.images, refined], context.structure, local=True)

    def context(self, working_B3HW: torch.Tensor) -> GlobalContext:
        """Run the structure module and the global stages on whole images.

        Args:
            working_B3HW: whole images at the working size, RGB, 0..1, sides multiples of 32.

        Returns:
            The context that `refine` needs.
        """
        x = working_B3HW
        structure = self.structure(x) if self.structure is not None else None
        features = structure.features if structure is not None else None
        small = F.avg_pool2d(x, 2)
        statistics = colour_statistics(x) if self.config.statistics else None
        first = self.coarse(
            small, small, fused=None, statistics=statistics,
            structure=features[1:] if features else None,
        )  # fmt: skip
        affine = first.affine
        images, last = [first.image], first
        if self.fine is not None:
            second, affine = self._fine(x, first, features, statistics)
            images, last = [first.image, second.image], second
        condition = None
        if self.local is not None:
            condition = self.to_condition(last.decoder[0])
            if structure is not None:
                seen = F.avg_pool2d(torch.sigmoid(structure.logits), 2)
                condition = torch.cat([condition, seen.to(condition.dtype)], 1)
        return GlobalContext(images, affine.packed(), condition, last.description, structure)

    def _fine(
        self,
        x: torch.Tensor,
        first: StageOutput,
        features: tuple[torch.Tensor, ...] | None,
        statistics: torch.Tensor | None,
    ) -> tuple[StageOutput, Affine]:
        """Run the second stage, and combine the transforms of both at half the working size."""
        assert self.fine is not None
        height, width = x.shape[-2:]

        def enlarged(size: tuple[int, int]) -> Affine:
            packed = F.interpolate(
                first.affine.packed(), size=size, mode="bilinear", align_corners=False
            )
            return Affine.unpacked(packed)

        base = enlarged((height, width)).apply(x.float())
        seen = torch.cat([x, base.to(x.dtype)], 1)
        fused = first if self.config.fusion else None
        second = self.fine(seen, base, structure=features, fused=fused, statistics=statistics)
        return second, second.affine.after(enlarged((height // 2, width // 2)))

    def refine(
        self,
        tile_B3HW: torch.Tensor,
        context: GlobalContext,
        *,
        window: Window,
        height: int,
        width: int,
    ) -> torch.Tensor:
        """Enhance a window of the original.

        Args:
            tile_B3HW: the window of the original, RGB, 0..1; even edges, sides multiples of 8.
            context: context of the whole image, from `context`.
            window: position of the tile in the original.
            height: height of the whole original, pixels, even.
            width: width of the whole original, pixels, even.

        Returns:
            (B, 3, h, w), not clipped.
        """
        transforms = cut_resized(context.affine.float(), window, height=height, width=width)
        base = Affine.unpacked(transforms).apply(tile_B3HW.float())
        if self.local is None or context.condition is None:
            return base
        condition = cut_resized(
            context.condition, window.halved(), height=height // 2, width=width // 2
        )
        result: torch.Tensor = self.local(tile_B3HW, base, condition, context.description)
        return result

    @property
    def reach(self) -> int:
        """Radius in pixels beyond which no input of the last stage influences an output pixel."""
        return self.local.reach if self.local is not None else 0
