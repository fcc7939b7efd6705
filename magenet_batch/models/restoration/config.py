"""What a restoring network is made of; stored beside its weights."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from magenet_batch.models.config import StructureConfig

_STRICT = ConfigDict(strict=True, frozen=True, extra="forbid")


class SenseConfig(BaseModel):
    """The part that says what is wrong.

    Attributes:
        hidden: widths of the perceptron; the last is what conditions the sensor stage.
    """

    model_config = _STRICT

    hidden: tuple[int, ...] = (256, 64)


class SensorConfig(BaseModel):
    """The stage that undoes blur, noise and compression.

    Attributes:
        widths: channels at 1/2, 1/4 and 1/8 of the size it works at; empty: gains of the whole
            image alone, without attention in space.
        guided: the structure module's vessel map guides it.
        residual: largest change beside the gains, 0..1; 0 switches it off.
        working_size: pixels across the square around the field of view, about; larger images are
            reduced by a whole factor and receive the change of the reduced image.
    """

    model_config = _STRICT

    widths: tuple[int, ...] = (24, 32, 48)
    guided: bool = True
    residual: float = Field(default=0.1, ge=0, le=1)
    working_size: int = Field(default=768, ge=256, le=4096)


class LightConfig(BaseModel):
    """The stage that undoes uneven light and veils.

    Attributes:
        size: pixels across the square that it sees.
        grid: pixels across its fields: nothing finer is light.
        widths: channels at 1/4, 1/8, 1/16 and 1/32 of its size.
    """

    model_config = _STRICT

    size: Literal[64, 128, 256] = 128
    grid: int = Field(default=16, ge=8, le=64)
    widths: tuple[int, int, int, int] = (32, 64, 96, 128)


class RestorationConfig(BaseModel):
    """MAGE-Net as restoration: sizes, and the parts that an ablation switches off.

    Attributes:
        size: the name of the preset that the widths came from.
        architecture: tells this configuration from those of other networks.
        sense: what is wrong, from statistics of the whole image; always there.
        sensor: None (in a recipe: false): blur, noise and compression stay.
        light: None (false): light and veils stay.
        structure: None (false): no vessel map guides anything.
    """

    model_config = _STRICT

    size: str = "small"
    architecture: Literal["magenet"] = "magenet"
    sense: SenseConfig = SenseConfig()
    sensor: SensorConfig | None = SensorConfig()
    light: LightConfig | None = LightConfig()
    structure: StructureConfig | None = StructureConfig()

    @model_validator(mode="after")
    def _is_guided_by_something(self) -> RestorationConfig:
        if self.sensor is not None and self.sensor.guided and self.structure is None:
            raise ValueError("sensor.guided needs the structure module: set it to false")
        return self


RESTORATION_SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "sensor": SensorConfig(widths=(8, 12, 16)),
        "light": LightConfig(size=64, grid=8, widths=(8, 12, 16, 24)),
        "structure": StructureConfig(widths=(8, 12, 16, 24)),
    },
    "small": {},
    "base": {
        "sense": SenseConfig(hidden=(384, 128)),
        "sensor": SensorConfig(widths=(64, 96, 128), working_size=1024),
        "light": LightConfig(widths=(64, 128, 192, 256)),
        "structure": StructureConfig(widths=(24, 48, 80, 112)),
    },
}
"""`tiny` is for tests, `small` for CPUs, `base` for GPUs."""
