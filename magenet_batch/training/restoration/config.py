"""Configuration of the training of a restoring network: one table per part."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

_STRICT = ConfigDict(strict=True, frozen=True, extra="forbid")


class MomentsConfig(BaseModel):
    """Closed-form fit of Sense's gains: the error is a quadratic form of moments of the crops.

    Attributes:
        samples: number of crops whose moments are collected.
        steps: number of optimiser steps.
        batch: samples per step.
        learning_rate: maximum learning rate.
    """

    model_config = _STRICT

    samples: int = Field(default=12_000, ge=16)
    steps: int = Field(default=6000, ge=1)
    batch: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)


class SensorTrainingConfig(BaseModel):
    """Training of Sense and the sensor stage, on crops.

    Attributes:
        steps: maximum number of optimiser steps.
        minutes: maximum training time, summed over all resumes; 0 for no limit.
        batch: crops per step.
        crop: side of a crop, pixels.
        preset: degradation preset of the crops.
        views: sizes to which images are reduced before crops are cut; a reduced copy is sharp.
        native: share of crops that are cut from an image at full resolution.
        recoloured: share of crops whose light and colour are varied.
        learning_rate: learning rate after warm-up.
        final_learning_rate: learning rate at the end of the cosine.
        ema: decay of the teacher, whose weights ship.
        difference: weight of the log error of the differences between neighbouring pixels.
        ssim: weight of the remaining share of the dissimilarity.
        structure: weight of the remaining share of the difference of vessel maps.
        vessels: pixels at vessels count `1 + vessels` times.
        contrast: weight of the squared loss of contrast at vessels.
        estimates: weight of the errors of Sense's estimates.
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
    vessels: float = Field(default=4.0, ge=0)
    contrast: float = Field(default=1.0, ge=0)
    estimates: float = Field(default=0.05, ge=0)


class SpotsTrainingConfig(BaseModel):
    """Training of the spots stage, on the images of the light part, with and without spots.

    Attributes:
        steps: maximum number of optimiser steps.
        minutes: maximum training time, summed over all resumes; 0 for no limit.
        batch: images per step.
        lit: share of the images whose light is degraded as `light.preset` says, beside the spots.
        spotted: share of the images with spots.
        learning_rate: learning rate after warm-up.
        final_learning_rate: learning rate at the end of the cosine.
        ema: decay of the teacher, whose weights ship.
    """

    model_config = _STRICT

    steps: int = Field(default=15_000, ge=1)
    minutes: float = Field(default=0.0, ge=0)
    batch: int = Field(default=24, ge=1)
    lit: float = Field(default=0.6, ge=0, le=1)
    spotted: float = Field(default=0.7, ge=0, le=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    final_learning_rate: float = Field(default=2e-5, gt=0)
    ema: float = Field(default=0.998, ge=0, lt=1)


class LightTrainingConfig(BaseModel):
    """Training of the light stage, on whole images.

    Attributes:
        steps: maximum number of optimiser steps.
        minutes: maximum training time, summed over all resumes; 0 for no limit.
        batch: images per step.
        preset: degradation preset of the images.
        texture: maximum standard deviation of random detail multiplied onto clean images, whose
            contrast must be preserved.
        repeat: number of times that each image of a folder counts, by folder, for cameras with few
            images.
        camera_share: share of images whose colours are varied into those of another camera.
        gain: maximum factor on a single channel of such a camera is `1 + gain`.
        gamma: maximum exponent is `1 + gamma`.
        saturation: factor between `1 - saturation` and `1 + saturation`.
        patches: share of clean images with a large patch, bright as a scar or dark as blood.
        vignette: maximum darkening of the rim by a camera's own uneven light, 0..1.
        learning_rate: learning rate after warm-up.
        final_learning_rate: learning rate at the end of the cosine.
        ema: decay of the teacher, whose weights ship.
        detail: weight of the error of detail finer than light.
        tone: weight of the error that includes the tone of the whole image; it trains the tone
            alone.
        level: weight of the same error relative to the level, channel by channel, as structural
            similarity sees it: errors of a dark channel count.
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
    level: float = Field(default=0.5, ge=0)
    consistency: float = Field(default=0.1, ge=0)
    real_batch: int = Field(default=8, ge=0)


class ToneTrainingConfig(BaseModel):
    """Training of the tone of known cameras, for a light stage with `cameras`.

    Attributes:
        least: least number of photographs of a known camera.
        samples: number of images that are degraded at working size, once.
        presets: degradation presets of the images, each as likely as the others.
        single: share of the images with one kind of degradation alone.
        single_of: preset whose severity those have.
        working_sizes: sizes of these images, pixels.
        steps: number of optimiser steps.
        batch: images per step.
        clean: share of these that are not degraded.
        dropout: share of the features that a step leaves out.
        noise: standard deviation of the noise that is added to colours and statistics, in their own
            standard deviations.
        level: weight of errors relative to the level, as for the light part.
        learning_rate: maximum learning rate.
        weight_decay: weight decay of AdamW.
    """

    model_config = _STRICT

    least: int = Field(default=100, ge=1)
    samples: int = Field(default=16_000, ge=1)
    presets: tuple[str, ...] = ("mild", "mild", "evaluation", "evaluation", "whole")
    single: float = Field(default=0.4, ge=0, le=1)
    single_of: str = "evaluation"
    working_sizes: tuple[int, ...] = (512, 512, 640)
    steps: int = Field(default=6000, ge=1)
    batch: int = Field(default=128, ge=2)
    clean: float = Field(default=0.25, ge=0, lt=1)
    dropout: float = Field(default=0.4, ge=0, lt=1)
    noise: float = Field(default=0.3, ge=0)
    level: float = Field(default=2.0, ge=0)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)


class PartValidationConfig(BaseModel):
    """Validation of parts on images that are never trained on, camera by camera.

    Attributes:
        every: steps between validations.
        checkpoint_minutes: minutes between checkpoints.
        images: images per folder for the light and tone parts; the sensor part is validated on
            three times as many crops from all folders together.
        preset: degradation preset of whole images, for the light and tone parts.
    """

    model_config = _STRICT

    every: int = Field(default=500, ge=1)
    checkpoint_minutes: float = Field(default=3.0, gt=0)
    images: int = Field(default=32, ge=1)
    preset: str = "evaluation"
