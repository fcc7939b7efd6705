"""What a training run says while it runs: lines to stderr, by default."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    import torch

    from magenet_batch.training.trainer import Settings


class Reporter:
    """Plain lines, not more often than every few seconds.

    Args:
        stream: where to.
        every: seconds between lines of steps.
    """

    def __init__(self, stream: TextIO | None = None, *, every: float = 10.0) -> None:
        self._stream = stream or sys.stderr
        self._every = every
        self._last = 0.0

    def started(
        self,
        settings: Settings,
        *,
        device: torch.device,
        autocast: bool,
        images: int,
        real: int,
        step: int,
    ) -> None:
        """The run begins or goes on."""
        precision = "bf16" if autocast else "fp32"
        limit = f"{settings.schedule.steps} steps"
        if settings.schedule.minutes:
            limit += f" or {settings.schedule.minutes:g} minutes"
        self._say(
            f"{'resuming at step ' + str(step) if step else 'training'}: {settings.model.size} on "
            f"{device} in {precision}, {images} clean and {real} real images, {limit}, "
            f"into {settings.run.output}"
        )

    def part(self, name: str, *, step: int, steps: int, minutes: float) -> None:
        """The training of a part by steps begins or resumes."""
        limit = f"{steps} steps" + (f" or {minutes:g} minutes" if minutes else "")
        self._say(f"{name}: {f'resuming at step {step}' if step else 'training'}, {limit}")

    def skipped(self, images: Sequence[str]) -> None:
        """Real images that cannot be used."""
        self._say(f"{len(images)} real images are left out, the first: {images[0]}")

    def structure(self, step: int, numbers: dict[str, float]) -> None:
        """A step of the structure module's training."""
        self._sometimes(f"structure module, step {step}: {_words(numbers)}")

    def sense(self, step: int, numbers: dict[str, float]) -> None:
        """A step of the fit of Sense's gains."""
        self._sometimes(f"Sense, step {step}: {_words(numbers)}")

    def step(self, step: int, share: float, numbers: dict[str, float], *, seconds: float) -> None:
        """A step of training."""
        left = seconds * (1 - share) / max(share, 1e-6)
        self._sometimes(
            f"step {step} ({100 * share:.1f} %, {step / max(seconds, 1e-9):.2f} steps/s, "
            f"{left / 60:.0f} min left): {_words(numbers)}"
        )

    def validation(self, step: int, numbers: dict[str, float]) -> None:
        """Measures on the validation set."""
        self._say(f"validation at step {step}: {_words(numbers)}")

    def _sometimes(self, line: str) -> None:
        if time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            self._say(line)

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def _words(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())
