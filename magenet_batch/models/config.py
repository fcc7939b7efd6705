"""Configuration of a network; stored in its weights file, so that weights alone can rebuild it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from magenet_batch.errors import RecipeError, nearest


class StructureConfig(BaseModel):
    """The vessel network of the structure module.

    Attributes:
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the working size.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    widths: tuple[int, ...] = (8, 16, 32, 48)


class MageNetConfig(BaseModel):
    """MAGE-Net: sizes, and the components that an ablation can switch off.

    Attributes:
        size: name of the preset that the widths came from.
        architecture: `unet` is a plain U-Net with `local_widths`, for comparison.
        stages: 1: coarse only; 2: both global stages; 3: the complete network.
        working_size: longest side of the whole image that the global stages see, pixels.
        coarse_widths: channels of the first stage at 1/4, 1/8, 1/16, 1/32 of the working size.
        fine_widths: channels of the second stage at 1/2, 1/4, 1/8, 1/16 of the working size.
        local_widths: channels of the third stage at 1/2, 1/4, 1/8 of the image's own size.
        condition_channels: feature channels that the second stage passes to the third.
        attention: channel and spatial attention in the blocks.
        supervised_attention: attention gates driven by each stage's own supervised image.
        fusion: pass the features of a stage to the next one.
        structure: let the structure module guide the stages.
        gate: blend with the input according to an estimated degree of degradation.
        bands: number of detail bands whose strength the third stage sets at each position.
        statistics: give the global stages quantiles of the image's colours, which tell its
            exposure.
        structure_net: the structure module itself.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    size: str = "small"
    architecture: Literal["affine", "unet"] = "affine"
    stages: Literal[1, 2, 3] = 3
    working_size: int = Field(default=256, ge=64, le=2048, multiple_of=32)
    coarse_widths: tuple[int, ...] = (16, 32, 56, 80)
    fine_widths: tuple[int, ...] = (16, 32, 48, 64)
    local_widths: tuple[int, ...] = (16, 32, 48)
    condition_channels: int = Field(default=12, ge=1)
    attention: bool = True
    supervised_attention: bool = True
    fusion: bool = True
    structure: bool = True
    gate: bool = True
    bands: int = Field(default=0, ge=0, le=4)
    statistics: bool = False
    structure_net: StructureConfig = StructureConfig()


SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "coarse_widths": (8, 12, 16, 24), "fine_widths": (8, 12, 16, 24),
        "local_widths": (8, 12, 16), "condition_channels": 4, "statistics": True, "bands": 3,
        "structure_net": StructureConfig(widths=(8, 12, 16, 24)),
    },
    "small": {"statistics": True, "bands": 3},
    "base": {
        "working_size": 512, "statistics": True, "bands": 3,
        "coarse_widths": (48, 96, 144, 192), "fine_widths": (40, 80, 144, 208),
        "local_widths": (48, 80, 112), "condition_channels": 24,
        "structure_net": StructureConfig(widths=(24, 48, 80, 112)),
    },
    "unet": {
        "architecture": "unet", "stages": 1, "local_widths": (16, 32, 64, 128), "structure": False,
    },
}  # fmt: skip
"""`tiny` is for tests and the smoke recipe, `small` for CPUs, `base` for GPUs, `unet` for
comparison."""


def magenet_config(size: str, **changes: Any) -> MageNetConfig:
    """Configuration of a size, with some fields changed.

    Args:
        size: one of `SIZES`.
        changes: fields of `MageNetConfig`.

    Raises:
        RecipeError: there is no such size.
    """
    if size not in SIZES:
        raise RecipeError(f"no network size is named '{size}'; {nearest(size, SIZES)}")
    return MageNetConfig(size=size, **{**SIZES[size], **changes})
