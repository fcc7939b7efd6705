"""`magenet report`: the rows of a job as a page, JSON, CSV or Markdown."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from magenet_batch.cli.console import tell
from magenet_batch.settings import DEFAULT_OUT

_OUTPUT, _CONTENT = "Output", "Content"


def command(
    out: Annotated[str, typer.Argument(help="Output folder of a job.")] = DEFAULT_OUT,
    format: Annotated[
        str,
        typer.Option(
            "--format", "-f", help="Write html, json, csv, md or text.", rich_help_panel=_OUTPUT
        ),
    ] = "html",
    target: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="File to write. Default: OUT/report.html; the others go to standard output.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    individual: Annotated[
        bool,
        typer.Option(
            "--individual",
            help="Also write a page for each flagged image, in OUT/report/, with all its measures.",
            rich_help_panel=_CONTENT,
        ),
    ] = False,
    most: Annotated[
        int,
        typer.Option(
            min=1,
            help="Maximum number of pages; images with most flags first.",
            rich_help_panel=_CONTENT,
        ),
    ] = 200,
    review: Annotated[
        int,
        typer.Option(
            min=0,
            help="Maximum number of images to review on the page.",
            rich_help_panel=_CONTENT,
        ),
    ] = 40,
    show: Annotated[
        bool,
        typer.Option("--open", help="Open the report in a browser.", rich_help_panel=_OUTPUT),
    ] = False,
) -> None:
    """Turn the rows of a job into a report."""
    from magenet_batch.errors import UsageError
    from magenet_batch.report.build import build_report, write_report
    from magenet_batch.report.text import write_csv
    from magenet_batch.storage import StorePath, given_location

    place = given_location(out)
    goal = None if target is None else given_location(target)
    if show and isinstance(goal or place, StorePath):
        raise UsageError("--open shows files of this machine: give one with -o FILE.")
    if target is None and format != "html" and not show and not individual:
        try:
            if format == "csv":
                write_csv(place, sys.stdout)
            else:
                sys.stdout.write(build_report(place, format=format))
            sys.stdout.flush()
        except BrokenPipeError:
            # the reader has seen enough, as in `magenet report out -f csv | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    written = write_report(
        place, format=format, target=goal, individual=most if individual else 0, review=review
    )
    tell(str(written))
    if show:
        typer.launch(str(written))
