"""Progress display of a job: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as RichProgress

from magenet_batch.duration import duration
from magenet_batch.jobs.work.worker import Counters

LINE_EVERY_S = 15.0


class Stream(Protocol):
    """What lines are written to."""

    def write(self, text: str, /) -> object:
        """Write some text."""
        ...

    def flush(self) -> None:
        """Flush what was written."""
        ...


class Progress(Protocol):
    """Receives the progress of a job while it runs."""

    def start(self, total: int) -> None:
        """Start a display of `total` images."""
        ...

    def update(self, done: Counters) -> None:
        """Show the number of images done."""
        ...

    def note(self, text: str) -> None:
        """Show a message."""
        ...

    def close(self) -> None:
        """Finish the display."""
        ...


class SilentProgress:
    """Shows nothing."""

    def start(self, total: int) -> None:
        """Show nothing."""

    def update(self, done: Counters) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Show nothing."""


class Rate:
    """Images and megapixels per second since the first worker started, and the remaining time."""

    def __init__(self) -> None:
        self._total = 0
        self._start: float | None = None

    def start(self, total: int) -> None:
        """Start counting."""
        self._total = total
        self._start = time.monotonic()

    def text(self, done: Counters) -> str:
        """Rate, remaining time and failures in a few words."""
        seconds = 0.0 if self._start is None else time.monotonic() - self._start
        if not done.images or seconds <= 0:
            return "starting"
        rate = done.images / seconds
        left = duration((self._total - done.images) / rate)
        failed = f", {done.failed} failed" if done.failed else ""
        megapixels = done.pixels / 1e6 / seconds
        return f"{rate:.2f} images/s, {megapixels:.1f} MP/s, {left} left{failed}"


class PlainProgress:
    """Writes a line from time to time.

    Args:
        stream: output stream, usually standard error.
        every: seconds between lines.
    """

    def __init__(self, stream: Stream, *, every: float = LINE_EVERY_S) -> None:
        self._stream = stream
        self._every = every
        self._rate = Rate()
        self._total = 0
        self._said = (0.0, 0)

    def start(self, total: int) -> None:
        """Start the display."""
        self._total = total
        self._rate.start(total)
        self._said = (time.monotonic(), 0)

    def update(self, done: Counters) -> None:
        """Write a line if the last one is old, or if all is done."""
        now = time.monotonic()
        when, images = self._said
        due = now - when >= self._every or done.images == self._total
        if due and done.images != images:
            self._said = (now, done.images)
            share = 100 * done.images / max(1, self._total)
            self.note(f"{done.images}/{self._total} ({share:.0f} %), {self._rate.text(done)}")

    def note(self, text: str) -> None:
        """Write a line."""
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Do nothing: lines need no clean-up."""


class BarProgress:
    """Draws a bar on a terminal.

    Args:
        console: the terminal.
    """

    def __init__(self, console: Console) -> None:
        self._bar = RichProgress(
            BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
            console=console, transient=True,
        )  # fmt: skip
        self._rate = Rate()
        self._task: Any = None

    def start(self, total: int) -> None:
        """Draw the empty bar."""
        self._rate.start(total)
        self._task = self._bar.add_task("", total=total, rate="starting")
        self._bar.start()

    def update(self, done: Counters) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bar.update(self._task, completed=done.images, rate=self._rate.text(done))

    def note(self, text: str) -> None:
        """Write a line above the bar."""
        self._bar.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.stop()
