"""What a recipe says about training a restoring network; one table per part."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

_STRICT = ConfigDict(strict=True, frozen=True, extra="forbid")


class MomentsConfig(BaseModel):
    """Sense's gains in closed form: error as a quadratic form of moments, no pixel in training.

    Attributes:
        samples: crops whose moments are gathered.
        steps: optimiser steps on them.
        batch: samples per step.
        learning_rate: at its peak.
    """

    model_config = _STRICT

    samples: int = Field(default=12_000, ge=16)
    steps: int = Field(default=6000, ge=1)
    batch: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)


class SensorTrainingConfig(BaseModel):
    """Sense and the sensor stage, on crops.

    Attributes:
        steps: maximum number of optimiser steps.
        minutes: maximum training time, over all resumes; 0 for no limit.
        batch: crops per step.
        crop: pixels across.
        preset: how crops are degraded.
        views: range of the reduction of an image before crops are cut; sharp copies only.
        native: share of crops that are cut from an image as it is.
        recoloured: share of crops whose light and colour are varied.
        learning_rate: after warm-up.
        final_learning_rate: at the end of the cosine.
        ema: decay of the teacher, which is what ships.
        difference: weight of the logarithm of the error of differences of neighbours.
        ssim: weight of the share of dissimilarity that is left.
        structure: weight of the share of the difference of vessel maps that is left.
        estimates: weight of the errors of what Sense estimates.
    """

    model_config = _STRICT

    steps: int = Field(default=100_000, ge=1)
    minutes: float = Field(default=0.0, ge=0)
    batch: int = Field(default=8, ge=1)
    crop: int = Field(default=224, ge=64, multiple_of=8)
    preset: str = "sensor"
    views: tuple[float, float] = (0.4, 0.75)
    native: float = Field(default=0.3, ge=0, le=1)
    recoloured: float = Field(default=0.7, ge=0, le=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    final_learning_rate: float = Field(default=2e-6, gt=0)
    ema: float = Field(default=0.998, ge=0, lt=1)
    difference: float = Field(default=0.5, ge=0)
    ssim: float = Field(default=0.5, ge=0)
    structure: float = Field(default=0.3, ge=0)
    estimates: float = Field(default=0.05, ge=0)


class LightTrainingConfig(BaseModel):
    """The light stage, on whole images.

    Attributes:
        steps: maximum number of optimiser steps.
        minutes: maximum training time, over all resumes; 0 for no limit.
        batch: images per step.
        preset: how images are degraded.
        texture: largest standard deviation of random detail that clean images are multiplied by,
            whose contrast must come out right.
        repeat: folder to how often each of its images counts, for cameras with few images.
        camera_share: share of images whose colours are varied into those of another camera.
        gain: largest factor on a single channel of such a camera is `1 + gain`.
        gamma: largest exponent is `1 + gamma`.
        saturation: factor between `1 - saturation` and `1 + saturation`.
        patches: share of clean images with a large patch, bright as a scar or dark as blood.
        vignette: how much darker the rim is at most where a clean image is given a camera's own
            uneven light, 0..1.
        learning_rate: after warm-up.
        final_learning_rate: at the end of the cosine.
        ema: decay of the teacher, which is what ships.
        detail: weight of the error of what is finer than light.
        tone: weight of the error with the tone of the whole image, which trains the tone alone.
        consistency: weight of the agreement with the teacher on real images after ramp-up.
        real_batch: real images per step.
    """

    model_config = _STRICT

    steps: int = Field(default=200_000, ge=1)
    minutes: float = Field(default=0.0, ge=0)
    batch: int = Field(default=24, ge=1)
    preset: str = "light"
    texture: float = Field(default=0.12, ge=0)
    repeat: dict[str, int] = {}
    camera_share: float = Field(default=0.6, ge=0, le=1)
    patches: float = Field(default=0.15, ge=0, le=1)
    vignette: float = Field(default=0.45, ge=0, le=1)
    gain: float = Field(default=0.4, ge=0)
    gamma: float = Field(default=0.35, ge=0)
    saturation: float = Field(default=0.35, ge=0, lt=1)
    learning_rate: float = Field(default=1.5e-3, gt=0)
    final_learning_rate: float = Field(default=4e-6, gt=0)
    ema: float = Field(default=0.998, ge=0, lt=1)
    detail: float = Field(default=0.5, ge=0)
    tone: float = Field(default=0.5, ge=0)
    consistency: float = Field(default=0.1, ge=0)
    real_batch: int = Field(default=8, ge=0)


class PartValidationConfig(BaseModel):
    """Measuring parts on images that are never trained on, camera by camera.

    Attributes:
        every: steps between validations.
        checkpoint_minutes: minutes between checkpoints.
        images: of each folder, for the light part; the sensor part is measured on three times as
            many crops of all folders together.
        preset: how whole images are degraded, for the light part.
    """

    model_config = _STRICT

    every: int = Field(default=500, ge=1)
    checkpoint_minutes: float = Field(default=3.0, gt=0)
    images: int = Field(default=32, ge=1)
    preset: str = "evaluation"
