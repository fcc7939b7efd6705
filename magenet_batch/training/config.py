"""What a recipe says about training; each part next to the code that obeys it."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

_STRICT = ConfigDict(strict=True, frozen=True, extra="forbid")


PartName = Literal["structure", "sense", "sensor", "light"]
PARTS: tuple[str, ...] = get_args(PartName)
"""Parts of a restoring network, in the order in which they need each other."""


class RunConfig(BaseModel):
    """The run as a whole.

    Attributes:
        name: of the weights that come out.
        output: folder of checkpoints, curves, pictures and weights.
        seed: of everything random.
        device: `auto` is the GPU if there is one.
        precision: `auto` is bf16 where the processor has instructions for it, else fp32; on a CPU
            without them bf16 is many times slower.
        threads: CPU threads; 0 for all cores.
        processes: more than 1: so many train together through Ray Train, a GPU each on GPUs; every
            one draws batches of its own, as if `schedule.accumulate` were multiplied.
        parts: of `structure`, `sense`, `sensor` and `light`, those that this call trains; empty for
            all of them and the weights in the end.
    """

    model_config = _STRICT

    name: str = "magenet"
    output: str = "runs/default"
    seed: int = Field(default=20230214, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int = Field(default=0, ge=0)
    processes: int = Field(default=1, ge=1)
    parts: tuple[PartName, ...] = ()


class WeightedView(NamedTuple):
    """Resolutions of a step, and how likely they are; a recipe writes it as a list of four.

    Attributes:
        working: side of what the global stages see, pixels.
        ratio: of the original to it.
        first: weight at the start of the run.
        last: weight at its end.
    """

    working: int
    ratio: int
    first: float
    last: float


class ScheduleConfig(BaseModel):
    """How long, how large, how fast.

    Attributes:
        steps: maximum number of optimiser steps.
        minutes: maximum training time, over all resumes; 0 for no limit. The learning rate
            falls with whichever limit is nearer.
        batch: synthetic pairs per step.
        accumulate: batches per optimiser step.
        views: from which each step draws one; small views first are quick lessons in light and
            colour.
        parts: of the network that are trained, `coarse`, `fine`, `to_condition` and `local`; empty
            for all.
        learning_rate: after warm-up.
        final_learning_rate: at the end of the cosine.
        warmup: steps of linear rise.
        weight_decay: of AdamW.
        clip: largest norm of the gradient.
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
        relative: an image's error above which it is the share removed that counts, at the start and
            at the end of the run. A large value means plain errors: restoring is learned first. A
            small one keeps slightly degraded images from being spoiled for the sake of bad ones.
        edge: of differences between neighbouring pixels, relative to Charbonnier.
        ssim: of 1 - SSIM on the last image.
        structure: of the difference of vessel maps.
    """

    model_config = _STRICT

    stages: tuple[float, ...] = (0.3, 0.6, 1.0)
    relative: tuple[PositiveFloat, PositiveFloat] = (0.5, 0.1)
    edge: float = Field(default=0.5, ge=0)
    ssim: float = Field(default=0.1, ge=0)
    structure: float = Field(default=0.05, ge=0)


class ConsistencyConfig(BaseModel):
    """Learning from real images by agreement with the teacher.

    Attributes:
        weight: of the consistency loss after ramp-up; 0 switches it off.
        ramp: share of the run over which it rises.
        batch: real images per step.
        every: steps between steps with real images.
        weak: degradation preset of the teacher's view.
        strong: of the student's view.
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
    """Training of the structure module, before that of the network.

    Attributes:
        weights: use this structure module instead of training one; empty to train.
        steps: optimiser steps.
        minutes: maximum training time, over all resumes; 0 for no limit.
        batch: images per step.
        size: of the squares, pixels.
        learning_rate: after warm-up.
        preset: degradation of half of the images, so that vessels are found in bad ones too.
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
    """Measuring on images that are never trained on.

    Attributes:
        every: steps between validations.
        checkpoint_minutes: minutes between checkpoints.
        preset: how the validation images are degraded.
        images: how many.
        size: at this many pixels.
        pictures: how many go into the picture of each validation.
    """

    model_config = _STRICT

    every: int = Field(default=1000, ge=1)
    checkpoint_minutes: float = Field(default=4.0, gt=0)
    preset: str = "evaluation"
    images: int = Field(default=24, ge=1)
    size: int = Field(default=256, ge=64, multiple_of=32)
    pictures: int = Field(default=6, ge=0)
