"""Configuration of a restoring network; stored in its weights file."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from magenet_batch.models.config import StructureConfig

_STRICT = ConfigDict(strict=True, frozen=True, extra="forbid")


class SenseConfig(BaseModel):
    """Sense, which estimates what is wrong.

    Attributes:
        hidden: widths of the perceptron; the last is the width of the sensor stage's condition.
    """

    model_config = _STRICT

    hidden: tuple[int, ...] = (256, 64)


class SensorConfig(BaseModel):
    """The sensor stage, which undoes blur, noise and compression.

    Attributes:
        widths: channels at 1/2, 1/4 and 1/8 of the working size; empty: only gains for the whole
            image, without spatial attention.
        hidden: channels between the two convolutions of each block at 1/2, where most of the time
            goes; None: as many as outside.
        summary: number of features from which each position's gains are told; None: all.
        guided: let the structure module's vessel map guide the stage.
        residual: maximum change in addition to the gains, 0..1; 0 switches it off.
        strength: multiple of its changes that is applied to images without noise. Squared errors
            teach sharpening that is too weak, because an unsure estimate does best near no change;
            above 1 gives vessels the contrast that they lost. Training is without it.
        unsure: the same where the structure module is least sure whether there is a vessel, which
            is where the estimates are weakest; None: `strength` everywhere.
        working_size: approximate side of the square around the field of view, pixels; larger images
            are reduced by an integer factor and receive the change of the reduced image.
    """

    model_config = _STRICT

    widths: tuple[int, ...] = (24, 32, 48)
    hidden: int | None = Field(default=None, ge=1)
    summary: int | None = Field(default=None, ge=1)
    guided: bool = True
    residual: float = Field(default=0.1, ge=0, le=1)
    strength: float = Field(default=1.0, ge=0, le=2)
    unsure: float | None = Field(default=None, ge=0, le=3)
    working_size: int = Field(default=768, ge=256, le=4096)


class LightConfig(BaseModel):
    """The light stage, which undoes uneven light and veils.

    Attributes:
        size: side of its input square, pixels.
        grid: side of its fields, pixels; finer structure is never treated as light.
        widths: channels at 1/4, 1/8, 1/16 and 1/32 of its size.
        cameras: number of cameras whose tone is told, also by Sense's statistics of the image at
            working size: those with most photographs in training, recognised by their frame.
        views: number of mirrored views of an image that inference joins: the mean of their fields,
            and the least of their beliefs; training sees one.
    """

    model_config = _STRICT

    size: Literal[64, 128, 256] = 128
    grid: int = Field(default=16, ge=8, le=64)
    widths: tuple[int, int, int, int] = (32, 64, 96, 128)
    cameras: int = Field(default=0, ge=0, le=16)
    views: Literal[1, 2, 4] = 1


class SpotsConfig(BaseModel):
    """The spots stage, which takes away dust and droplets.

    Attributes:
        width: channels of its convolutions.
        depth: number of convolutions between the first and the last.
    """

    model_config = _STRICT

    width: int = Field(default=32, ge=4)
    depth: int = Field(default=2, ge=1)


class ScatterConfig(BaseModel):
    """The scatter stage, which gives vessels back the contrast that they have in sharp photographs.

    Attributes:
        below: number of standard deviations below the usual contrast up to which nothing is done,
            and to which it is raised: 1.7 is what 95 of 100 sharp photographs exceed.
        most: maximum share of scattered light, 0..1; detail is multiplied by at most `1 / (1 -
            most)`.
        sure: mean probability of vessel where vessels are most likely, at which the stage begins to
            act, and from which it acts in full.
        blurred: standard deviation of the estimated blur, per mille of the side, from which it acts
            less, and from which it does nothing: what blur took is not given back by contrast.
        noisy: the same of the estimated standard deviation of the noise, percent of the range: more
            contrast makes lines of what noise is left.
        compressed: the same of the estimated loss by compression, 0..1.
    """

    model_config = _STRICT

    below: float = Field(default=1.7, ge=0)
    most: float = Field(default=0.5, ge=0, lt=1)
    sure: tuple[float, float] = (0.3, 0.6)
    blurred: tuple[float, float] = (3.0, 6.0)
    noisy: tuple[float, float] = (0.6, 1.2)
    compressed: tuple[float, float] = (0.2, 0.5)


class RestorationConfig(BaseModel):
    """MAGE-Net as restoration: sizes, and the parts that an ablation can switch off.

    Attributes:
        size: name of the preset that the widths came from.
        architecture: tells this configuration from those of other networks.
        sense: estimates what is wrong from statistics of the whole image; always present.
        sensor: None (in a recipe: false) leaves blur, noise and compression as they are.
        spots: None (false) leaves dust and droplets as they are.
        light: None (false) leaves light and veils as they are.
        scatter: None (false) leaves contrast as it is, as does a network without the structure
            module.
        structure: None (false): no vessel map guides the other parts.
    """

    model_config = _STRICT

    size: str = "small"
    architecture: Literal["magenet"] = "magenet"
    sense: SenseConfig = SenseConfig()
    sensor: SensorConfig | None = SensorConfig()
    spots: SpotsConfig | None = None
    light: LightConfig | None = LightConfig()
    scatter: ScatterConfig | None = None
    structure: StructureConfig | None = StructureConfig()

    @model_validator(mode="after")
    def _is_guided_by_something(self) -> RestorationConfig:
        if self.sensor is not None and self.sensor.guided and self.structure is None:
            raise ValueError("sensor.guided needs the structure module: set it to false")
        return self


RESTORATION_SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "sensor": SensorConfig(widths=(8, 12, 16)),
        "spots": SpotsConfig(width=8, depth=1),
        "light": LightConfig(size=64, grid=8, widths=(8, 12, 16, 24)),
        "scatter": ScatterConfig(),
        "structure": StructureConfig(widths=(8, 12, 16, 24)),
    },
    "small": {
        "sensor": SensorConfig(hidden=16, summary=16),
        "spots": SpotsConfig(),
        "scatter": ScatterConfig(),
    },
    "base": {
        "sense": SenseConfig(hidden=(384, 128)),
        "sensor": SensorConfig(widths=(64, 96, 128)),
        "spots": SpotsConfig(),
        "scatter": ScatterConfig(),
        "structure": StructureConfig(widths=(24, 48, 80, 112)),
    },
}
"""`tiny` is for tests, `small` for CPUs, `base` for GPUs."""
