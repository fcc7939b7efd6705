"""Output of the command line: data to standard output, everything else to standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import typer

from magenet_batch.errors import printable

if TYPE_CHECKING:
    from magenet_batch.jobs.engine.progress import Progress


def tell(text: str) -> None:
    """Print data to standard output."""
    typer.echo(printable(text, keep="\n"))


def say(text: str) -> None:
    """Print a message for the user to standard error, as long as there is a reader."""
    try:
        typer.echo(printable(text, keep="\n"), err=True)
    except OSError:  # a reader that left, or a full disk: no reason to stop a job
        silence()


class LastingStderr:
    """Standard error as a stream that never fails."""

    def write(self, text: str) -> int:
        """Write some text, as long as there is a reader."""
        try:
            return sys.stderr.write(text)
        except OSError:
            silence()
            return len(text)

    def flush(self) -> None:
        """Flush what was written."""
        try:
            sys.stderr.flush()
        except OSError:
            silence()


def silence() -> None:
    """Send standard error to nowhere from now on, also that of libraries."""
    _open_nowhere(2)


def require_streams() -> None:
    """Open closed standard streams, before other files take their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            _open_nowhere(number)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: PTH123, SIM115


def _open_nowhere(number: int) -> None:
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)


def make_progress() -> Progress:
    """Create a progress display: a bar on a terminal, plain lines elsewhere."""
    from rich.console import Console

    from magenet_batch.jobs.engine.progress import BarProgress, PlainProgress

    if sys.stderr.isatty():
        return BarProgress(Console(stderr=True))
    return PlainProgress(LastingStderr())
