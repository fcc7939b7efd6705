"""`magenet report`: the rows of a job as a page, JSON, CSV or Markdown."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    out: Annotated[Path, typer.Argument(help="The output folder of a job.")] = Path("out"),
    format: Annotated[str, typer.Option("--format", "-f", help="html, json, csv or md.")] = "html",
    target: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to write. By default OUT/report.html; json, csv and md go to stdout.",
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the report when it is made.")] = False,
) -> None:
    """Turn the rows of a job into a report. Never imports torch or ray."""
    from magenet_batch.report.build import build_report, write_report
    from magenet_batch.report.text import write_csv

    if target is None and format != "html" and not show:
        try:
            if format == "csv":
                write_csv(out, sys.stdout)
            else:
                sys.stdout.write(build_report(out, format=format))
            sys.stdout.flush()
        except BrokenPipeError:
            # the reader has seen enough, as in `magenet report out -f csv | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    written = write_report(out, format=format, target=target)
    typer.echo(str(written))
    if show:
        typer.launch(str(written))
