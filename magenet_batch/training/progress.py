"""Progress messages of a training run: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from magenet_batch.training.phases import Phase, Phases

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from magenet_batch.training.config import RunConfig, ScheduleConfig

NETWORK = "network"
"""Phase in which a network is trained as a whole."""


class Reporter:
    """Writes plain lines, at intervals of several seconds.

    Args:
        stream: output stream.
        every: seconds between lines about steps.
    """

    def __init__(self, stream: TextIO | None = None, *, every: float = 10.0) -> None:
        self._stream = stream or sys.stderr
        self._every = every
        self._last = 0.0
        self._phase = ""
        self.phases = Phases()

    def planned(self, phases: Iterable[Phase]) -> None:
        """Announce all phases of the run, with their progress so far."""
        self.phases = Phases(phases)

    def started(
        self,
        run: RunConfig,
        schedule: ScheduleConfig,
        *,
        size: str,
        device: torch.device,
        autocast: bool,
        images: int,
        real: int,
        step: int,
    ) -> None:
        """Announce the start or resume of a network that is trained as a whole."""
        precision = "bf16" if autocast else "fp32"
        self._begin(NETWORK, step=step, steps=schedule.steps, minutes=schedule.minutes)
        self.note(
            f"{'resuming at step ' + str(step) if step else 'training'}: {size} on "
            f"{device} in {precision}, {images} clean and {real} real images, "
            f"{_limit(schedule.steps, schedule.minutes)}, into {run.output}"
        )

    def part(self, name: str, *, step: int, steps: int, minutes: float) -> None:
        """Announce the start or resume of a phase."""
        self._begin(name, step=step, steps=steps, minutes=minutes)
        what = f"resuming at step {step}" if step else "training"
        self.note(f"{name}: {what}, {_limit(steps, minutes)}")

    def skipped(self, images: Sequence[str]) -> None:
        """Report real images that cannot be used."""
        self.note(f"{len(images)} real images are skipped, the first: {images[0]}")

    def step(self, step: int, numbers: dict[str, float], *, seconds: float) -> None:
        """Report a step of the active phase."""
        self.phases.advance(self._phase, step=step, seconds=seconds)
        self._show(step, numbers, speed=step / max(seconds, 1e-9))

    def validation(self, step: int, numbers: dict[str, float]) -> None:
        """Report measurements on the validation set."""
        self.note(f"validation at step {step}: {_words(numbers)}")

    def note(self, line: str) -> None:
        """Write a message."""
        print(line, file=self._stream, flush=True)

    def close(self) -> None:
        """Finish the display when the run ends or stops."""

    def _begin(self, name: str, *, step: int, steps: int, minutes: float) -> None:
        self._phase = name
        self.phases.begin(name, step=step, steps=steps, minutes=minutes)

    def _show(self, step: int, numbers: dict[str, float], *, speed: float) -> None:
        if time.monotonic() - self._last < self._every:
            return
        self._last = time.monotonic()
        steps = self.phases[self._phase].steps
        told = f": {_words(numbers)}" if numbers else ""
        self.note(
            f"{self._phase}, step {step} of {steps}, {speed:.2f} steps/s{told}; "
            f"run {100 * self.phases.share:.1f} %, {self.phases.left()}"
        )


class BarReporter(Reporter):
    """Shows one bar for the whole run at the bottom of a terminal, with lines above it.

    Args:
        console: the terminal.
    """

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        super().__init__(every=0.0)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
            TextColumn("{task.fields[told]}"), console=console, transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task("starting", total=1.0, told="")

    def note(self, line: str) -> None:
        """Write a line above the bar."""
        self._bar.console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.stop()

    def _show(self, step: int, numbers: dict[str, float], *, speed: float) -> None:
        self._bar.start()
        self._bar.update(
            self._task, completed=self.phases.share, description=self._phase,
            told=f"step {step}, {speed:.2f} steps/s, {self.phases.left()}",
        )  # fmt: skip


def make_reporter() -> Reporter:
    """A bar if standard error is a terminal, plain lines otherwise."""
    if not sys.stderr.isatty():
        return Reporter()
    from rich.console import Console

    return BarReporter(Console(stderr=True))


def _limit(steps: int, minutes: float) -> str:
    return f"{steps} steps" + (f" or {minutes:g} minutes" if minutes else "")


def _words(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())
