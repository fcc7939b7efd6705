"""Recipes: the configurations of all components, joined; no component receives the whole."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, model_validator

from magenet_batch.models.config import MageNetConfig
from magenet_batch.models.restoration.config import RestorationConfig, ScatterConfig, SpotsConfig
from magenet_batch.training.config import (
    ConsistencyConfig,
    LossConfig,
    RunConfig,
    ScheduleConfig,
    StructureTrainingConfig,
    ValidationConfig,
)
from magenet_batch.training.data.config import AugmentConfig, DataConfig
from magenet_batch.training.restoration.config import (
    LightTrainingConfig,
    MomentsConfig,
    PartValidationConfig,
    SensorTrainingConfig,
    SpotsTrainingConfig,
    ToneTrainingConfig,
)


class DegradationConfig(BaseModel):
    """How clean images are degraded.

    Attributes:
        preset: name of a preset, or `preset:kind`.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    preset: str = "train"


class StartConfig(BaseModel):
    """Initial weights of the run.

    Attributes:
        weights: shipped weights or a file to start from; empty to start from new networks.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    weights: str = ""


class AffineRecipe(BaseModel):
    """Recipe for a network that is trained as a whole: `affine` or `unet`.

    Each table configures one component.
    """

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

    @model_validator(mode="after")
    def _is_trained_as_a_whole(self) -> AffineRecipe:
        if self.run.parts:
            raise ValueError("run.parts is for architecture 'magenet': leave it out")
        return self


class RestorationRecipe(BaseModel):
    """Recipe for `magenet`, which is trained part by part; each table configures one component."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    run: RunConfig = RunConfig()
    start: StartConfig = StartConfig()
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig(zoom=(0.85, 1.25), shift=0.06)
    model: RestorationConfig = RestorationConfig(spots=SpotsConfig(), scatter=ScatterConfig())
    structure: StructureTrainingConfig = StructureTrainingConfig()
    sense: MomentsConfig = MomentsConfig()
    sensor: SensorTrainingConfig = SensorTrainingConfig()
    spots: SpotsTrainingConfig = SpotsTrainingConfig()
    light: LightTrainingConfig = LightTrainingConfig()
    tone: ToneTrainingConfig = ToneTrainingConfig()
    validation: PartValidationConfig = PartValidationConfig()

    @model_validator(mode="after")
    def _trains_in_one_process(self) -> RestorationRecipe:
        if self.run.processes > 1:
            raise ValueError("run.processes is for architecture 'affine': leave it out")
        return self


Recipe = AffineRecipe | RestorationRecipe
"""A TOML file that fully determines a training run; `model.architecture` selects the kind."""

ARCHITECTURES: dict[str, type[AffineRecipe] | type[RestorationRecipe]] = {
    "magenet": RestorationRecipe, "affine": AffineRecipe, "unet": AffineRecipe,
}  # fmt: skip
