"""`magenet verify`: compare the files of a job with the hashes in its rows."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from magenet_batch.cli.console import make_progress, tell
from magenet_batch.settings import DEFAULT_OUT


def command(
    out: Annotated[str, typer.Argument(help="Output folder of a job.")] = DEFAULT_OUT,
    outputs_only: Annotated[
        bool, typer.Option("--outputs-only", help="Do not read the originals.")
    ] = False,
    set_aside: Annotated[
        bool,
        typer.Option(
            "--set-aside",
            help="Move damaged outputs to verified/damaged, for --retry-failed to recreate them.",
        ),
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="Number of files to read at a time.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Compare every output and original with the hash in its row. Re-run to resume."""
    from magenet_batch.jobs.check.verify import verify
    from magenet_batch.storage import given_location

    result = verify(
        given_location(out), originals=not outputs_only, set_aside=set_aside, threads=threads,
        progress=make_progress(),
    )  # fmt: skip
    tell(json.dumps(result.as_json()) if as_json else result.text())
    raise typer.Exit(result.exit_code)
