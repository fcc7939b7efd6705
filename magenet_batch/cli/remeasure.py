"""`magenet remeasure`: measure the rows of a job again, without enhancing."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from magenet_batch.cli.console import make_progress, say, tell
from magenet_batch.settings import DEFAULT_OUT


def command(
    out: Annotated[str, typer.Argument(help="Output folder of a job.")] = DEFAULT_OUT,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of images to measure at a time. Default: the number of cores."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure and grade all images of a job again; enhance nothing. Re-run to resume."""
    from magenet_batch.jobs.check.remeasure import remeasure
    from magenet_batch.jobs.engine.machine import cpu_count
    from magenet_batch.storage import given_location

    result = remeasure(
        given_location(out), threads=threads or cpu_count(), progress=make_progress(), say=say
    )
    tell(json.dumps(result.as_json()) if as_json else result.text())
    raise typer.Exit(result.exit_code)
