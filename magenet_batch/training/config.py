"""Configuration of a training run: the tables of a recipe, except data and degradation."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

_STRICT = ConfigDict(strict=True, frozen=True, extra="forbid")


PartName = Literal["structure", "sense", "sensor", "spots", "light", "tone", "scatter"]
PARTS: tuple[str, ...] = get_args(PartName)
"""Parts of a restoring network, in the order of their dependencies."""


class RunConfig(BaseModel):
    """The run as a whole.

    Attributes:
        name: name of the resulting weights.
        output: folder for checkpoints, curves, pictures and weights.
        seed: random seed of the whole run.
        device: `auto` is the GPU if there is one.
        precision: `auto` is bf16 if the hardware supports it, else fp32; on a CPU without support
            bf16 is many times slower.
        threads: number of CPU threads; 0 for all cores.
        loaders: processes that prepare the batches of a part ahead, so that a GPU need not wait; 0:
            the training process makes them. The batches are the same.
        processes: number of processes that train together through Ray Train, each on its own GPU if
            GPUs are used. Every process draws its own batches, which has the effect of multiplying
            `schedule.accumulate`.
        parts: parts that this call trains, of `structure`, `sense`, `sensor`, `spots`, `light`,
            `tone` and `scatter`; empty trains all of them and writes the weights.
    """

    model_config = _STRICT

    name: str = "magenet"
    output: str = "runs/default"
    seed: int = Field(default=20230214, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int = Field(default=0, ge=0)
    loaders: int = Field(default=0, ge=0)
    processes: int = Field(default=1, ge=1)
    parts: tuple[PartName, ...] = ()


class WeightedView(NamedTuple):
    """Resolutions of a training step and their probability; a recipe writes it as a list of four.

    Attributes:
        working: side of the global stages' input, pixels.
        ratio: resolution of the original relative to that input.
        first: weight at the start of the run.
        last: weight at the end of the run.
    """

    working: int
    ratio: int
    first: float
    last: float


class ScheduleConfig(BaseModel):
    """Duration, batch sizes and optimiser settings.

    Attributes:
        steps: maximum number of optimiser steps.
        minutes: maximum training time, summed over all resumes; 0 for no limit. The learning rate
            follows whichever limit is closer.
        batch: synthetic pairs per batch.
        accumulate: batches per optimiser step.
        views: views from which each step draws one; small views first teach light and colour fast.
        parts: parts of the network to train, of `coarse`, `fine`, `to_condition` and `local`; empty
            for all.
        learning_rate: learning rate after warm-up.
        final_learning_rate: learning rate at the end of the cosine.
        warmup: number of steps of linear warm-up.
        weight_decay: weight decay of AdamW.
        clip: maximum norm of the gradient.
        ema: decay of the teacher, after its own warm-up.
    """

    model_config = _STRICT

    steps: int = Field(default=200_000, ge=1)
    minutes: float = Field(default=0.0, ge=0)
    batch: int = Field(default=8, ge=1)
    accumulate: int = Field(default=1, ge=1)
    views: tuple[WeightedView, ...] = (WeightedView(256, 1, 1.0, 1.0),)
    parts: tuple[str, ...] = ()
    learning_rate: float = Field(default=6e-4, gt=0)
    final_learning_rate: float = Field(default=1e-6, gt=0)
    warmup: int = Field(default=200, ge=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    clip: float = Field(default=1.0, gt=0)
    ema: float = Field(default=0.999, ge=0, lt=1)


class LossConfig(BaseModel):
    """Weights of the supervised losses.

    Attributes:
        stages: weight of each stage's image, coarse first.
        relative: error above which an image's loss counts relatively, at the start and at the end
            of the run. A large value means plain errors, so that restoring is learned first; a
            small value keeps the worst images from dominating, which would spoil slightly degraded
            ones.
        edge: weight of the differences between neighbouring pixels, relative to the Charbonnier
            loss.
        ssim: weight of 1 - SSIM on the last image.
        structure: weight of the difference of vessel maps.
    """

    model_config = _STRICT

    stages: tuple[float, ...] = (0.3, 0.6, 1.0)
    relative: tuple[PositiveFloat, PositiveFloat] = (0.5, 0.1)
    edge: float = Field(default=0.5, ge=0)
    ssim: float = Field(default=0.1, ge=0)
    structure: float = Field(default=0.05, ge=0)


class ConsistencyConfig(BaseModel):
    """Consistency with the teacher on real images.

    Attributes:
        weight: weight of the consistency loss after ramp-up; 0 switches it off.
        ramp: share of the run over which the weight rises, 0..1.
        batch: real images per step.
        every: steps between two steps with real images.
        weak: degradation preset of the teacher's view.
        strong: degradation preset of the student's view.
        structure: weight of the agreement of vessel maps.
    """

    model_config = _STRICT

    weight: float = Field(default=0.3, ge=0)
    ramp: float = Field(default=0.4, gt=0, le=1)
    batch: int = Field(default=4, ge=1)
    every: int = Field(default=2, ge=1)
    weak: str = "weak_view"
    strong: str = "strong_view"
    structure: float = Field(default=0.1, ge=0)


class StructureTrainingConfig(BaseModel):
    """Training of the structure module, which precedes that of the network.

    Attributes:
        weights: path of a trained structure module to use; empty to train one.
        steps: maximum number of optimiser steps.
        minutes: maximum training time, summed over all resumes; 0 for no limit.
        batch: images per step.
        size: side of the input squares, pixels.
        learning_rate: learning rate after warm-up.
        preset: degradation preset for half of the images, so that vessels are also found in bad
            ones.
    """

    model_config = _STRICT

    weights: str = ""
    steps: int = Field(default=4000, ge=1)
    minutes: float = Field(default=0.0, ge=0)
    batch: int = Field(default=6, ge=1)
    size: int = Field(default=384, ge=64, multiple_of=32)
    learning_rate: float = Field(default=2e-3, gt=0)
    preset: str = "train"


class ValidationConfig(BaseModel):
    """Validation on images that are never trained on.

    Attributes:
        every: steps between validations.
        checkpoint_minutes: minutes between checkpoints.
        preset: degradation preset of the validation images.
        images: number of images.
        size: side of the images, pixels.
        pictures: number of images in the picture of each validation.
    """

    model_config = _STRICT

    every: int = Field(default=1000, ge=1)
    checkpoint_minutes: float = Field(default=4.0, gt=0)
    preset: str = "evaluation"
    images: int = Field(default=24, ge=1)
    size: int = Field(default=256, ge=64, multiple_of=32)
    pictures: int = Field(default=6, ge=0)
