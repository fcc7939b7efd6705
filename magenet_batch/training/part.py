"""Training loop of one part of a network: interruptible and resumable, with an EMA teacher."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

import torch

from magenet_batch.errors import TrainingError
from magenet_batch.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from magenet_batch.training.curves import Curves
from magenet_batch.training.ema import Part, make_teacher, update_teacher
from magenet_batch.training.progress import Reporter
from magenet_batch.training.results import draw_results
from magenet_batch.training.schedule import ema_decay, learning_rate

_LOG_EVERY = 20
Losses = dict[str, torch.Tensor]


@dataclass(frozen=True)
class PartSchedule:
    """Duration and learning rates of a part's training.

    Attributes:
        steps: maximum number of optimiser steps.
        minutes: maximum training time, summed over all resumes; 0 for no limit.
        peak: learning rate after warm-up.
        final: learning rate at the end.
        ema: decay of the teacher.
        validate_every: steps between validations.
        checkpoint_minutes: minutes between checkpoints.
        fingerprint: fingerprint of everything that must not change between resumes.
        warmup: number of steps of linear warm-up.
        weight_decay: weight decay of AdamW.
    """

    steps: int
    minutes: float
    peak: float
    final: float
    ema: float
    validate_every: int
    checkpoint_minutes: float
    fingerprint: str
    warmup: int = 200
    weight_decay: float = 1e-4


@dataclass(frozen=True)
class PhaseOfRun:
    """What a phase needs to know about its run.

    Attributes:
        folder: folder for checkpoints and curves.
        fingerprint: fingerprint of everything that must not change between resumes.
        checkpoint_minutes: minutes between checkpoints.
        reporter: reports progress to the user.
        stopped: checked after every step; return True to save and stop.
    """

    folder: Path
    fingerprint: str
    checkpoint_minutes: float
    reporter: Reporter
    stopped: Callable[[], bool]


def checkpoint_path(folder: Path, name: str) -> Path:
    """Path of the file from which a part resumes."""
    return folder / f"{name}.checkpoint.safetensors"


class PartTrainer(Generic[Part]):
    """Trains one part.

    Args:
        name: name of the part and of its files.
        student: the module to train, in place.
        losses: computes the losses of a step from student, teacher, step and share of the training
            done; `total` is minimised.
        validate: measures the teacher; None skips validation.
        schedule: duration and learning rates.
        folder: folder for checkpoint and curves.
        reporter: reports progress to the user.
        stopped: checked after every step; return True to save and stop.
    """

    def __init__(
        self,
        name: str,
        student: Part,
        *,
        losses: Callable[[Part, Part, int, float], Losses],
        validate: Callable[[Part], dict[str, float]] | None,
        schedule: PartSchedule,
        folder: Path,
        reporter: Reporter,
        stopped: Callable[[], bool],
    ) -> None:
        self.name = name
        self.student = student
        self.teacher = make_teacher(student)
        self.schedule = schedule
        self.progress = Progress(recipe=f"{schedule.fingerprint}-{name}")
        self._losses, self._validate = losses, validate
        self._folder, self._reporter, self._stopped = folder, reporter, stopped
        self.path = checkpoint_path(folder, name)
        """Path of the checkpoint."""
        self._optimizer = torch.optim.AdamW(
            student.parameters(), lr=schedule.peak, weight_decay=schedule.weight_decay
        )

    @property
    def share_done(self) -> float:
        """Share of the part's training that is done, by steps or by time: 0..1."""
        minutes = self.schedule.minutes
        by_time = self.progress.seconds / 60 / minutes if minutes else 0.0
        return min(1.0, max(self.progress.step / self.schedule.steps, by_time))

    def run(self) -> bool:
        """Train until the schedule ends (returns True) or a stop is requested (returns False).

        Every call takes at least one step, so that repeated calls that are stopped early still
        finish.
        """
        if self.path.is_file():
            self.progress = load_checkpoint(
                self.path, networks={"student": self.student, "teacher": self.teacher},
                optimizer=self._optimizer, recipe=self.progress.recipe,
            )  # fmt: skip
        schedule, step = self.schedule, self.progress.step
        self._reporter.part(self.name, step=step, steps=schedule.steps, minutes=schedule.minutes)
        curves = Curves(self._folder / self.name, step=step)
        saved = time.monotonic()
        self.student.train()
        try:
            while self.share_done < 1:
                before = time.monotonic()
                numbers = self._step()
                self.progress.step += 1
                self.progress.seconds += time.monotonic() - before
                self._tell(curves, numbers)
                if self._stopped():
                    break
                if time.monotonic() - saved > 60 * schedule.checkpoint_minutes:
                    self._save()
                    draw_results(self._folder)
                    saved = time.monotonic()
        finally:
            curves.close()
        self._save()
        draw_results(self._folder)
        return self.share_done >= 1

    def _step(self) -> dict[str, float]:
        schedule, share = self.schedule, self.share_done
        step = self.progress.step
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(
                step, share, peak=schedule.peak, final=schedule.final, warmup=schedule.warmup
            )
        losses = self._losses(self.student, self.teacher, step, share)
        self._optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        if not math.isfinite(float(norm)):
            told = {name: float(value.detach()) for name, value in losses.items()}
            raise TrainingError(
                f"the gradient of step {step} of {self.name} is not finite (losses: {told}): "
                "lower its learning_rate, or set run.precision = 'fp32'"
            )
        self._optimizer.step()
        update_teacher(self.teacher, self.student, decay=ema_decay(step + 1, decay=schedule.ema))
        return {name: float(value.detach()) for name, value in losses.items()} | {
            "gradient": float(norm)
        }

    def _tell(self, curves: Curves, numbers: dict[str, float]) -> None:
        step = self.progress.step
        self._reporter.step(step, numbers, seconds=self.progress.seconds)
        if step % _LOG_EVERY == 0:
            curves.write(step, "train", numbers)
        if self._validate and (step % self.schedule.validate_every == 0 or self.share_done >= 1):
            self.teacher.eval()
            measured = self._validate(self.teacher)
            curves.write(step, "validation", measured)
            self._reporter.validation(step, measured)

    def _save(self) -> None:
        save_checkpoint(
            self.path, networks={"student": self.student, "teacher": self.teacher},
            optimizer=self._optimizer, progress=self.progress,
        )  # fmt: skip
