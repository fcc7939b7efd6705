"""The recipe: the configurations of all components, joined; nobody below receives it whole."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from magenet_batch.models.config import MageNetConfig
from magenet_batch.training.config import (
    ConsistencyConfig,
    LossConfig,
    RunConfig,
    ScheduleConfig,
    StructureTrainingConfig,
    ValidationConfig,
)
from magenet_batch.training.data.config import AugmentConfig, DataConfig


class DegradationConfig(BaseModel):
    """How clean images are degraded.

    Attributes:
        preset: name of a preset, or `preset:kind`.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    preset: str = "train"


class StartConfig(BaseModel):
    """What the run begins with.

    Attributes:
        weights: shipped weights or a file to go on from; empty to begin anew.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    weights: str = ""


class Recipe(BaseModel):
    """A TOML file that fully determines a training run; each table is one component's."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    run: RunConfig = RunConfig()
    start: StartConfig = StartConfig()
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    degradation: DegradationConfig = DegradationConfig()
    model: MageNetConfig = MageNetConfig()
    structure: StructureTrainingConfig = StructureTrainingConfig()
    loss: LossConfig = LossConfig()
    consistency: ConsistencyConfig = ConsistencyConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    validation: ValidationConfig = ValidationConfig()
