"""Output of the command line: data to standard output, everything else to standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from magenet_batch.jobs.engine.progress import Progress


def say(text: str) -> None:
    """Print a message for the user to standard error."""
    typer.echo(text, err=True)


def make_progress() -> Progress:
    """Create a progress display: a bar on a terminal, plain lines elsewhere."""
    from rich.console import Console

    from magenet_batch.jobs.engine.progress import BarProgress, PlainProgress

    if sys.stderr.isatty():
        return BarProgress(Console(stderr=True))
    return PlainProgress(sys.stderr)
