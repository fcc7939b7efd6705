"""`magenet assess`: the quality of a whole archive, nothing enhanced."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from magenet_batch.cli.console import make_progress, say
from magenet_batch.settings import DEFAULT_OUT, PROGRAM


def command(
    archive: Annotated[
        list[str],
        typer.Argument(help="Folders, single images or .parquet manifests.", show_default=False),
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", help="The output folder, or s3://BUCKET/FOLDER.")
    ] = DEFAULT_OUT,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Worker processes; 0 works without Ray. Default: by machine."),
    ] = None,
    shard_size: Annotated[
        int | None, typer.Option(min=1, help="Images that are done and recorded together.")
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Take files that match, whatever their extension."),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Leave out files that match.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many.")] = None,
    path_column: Annotated[
        str | None, typer.Option(help="The manifest's column of paths. Default: guessed.")
    ] = None,
    root: Annotated[
        str | None, typer.Option(help="Folder of the manifest's paths. Default: its own.")
    ] = None,
    page: Annotated[
        int | None,
        typer.Option(min=1, help="Which picture to take from files that hold several."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="A running Ray cluster: auto, HOST:PORT or ray://...")
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only a part of the job, for schedulers without Ray."),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try the failed images again.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON to standard output.")
    ] = False,
) -> None:
    """Grade and measure an archive without enhancing it. Give the same command again to go on."""
    from magenet_batch.jobs.options import JobOptions
    from magenet_batch.jobs.run import run_job

    options = JobOptions(
        archive=tuple(archive), out=out, workers=workers, gpus=0, shard_size=shard_size,
        include=tuple(include or ()), exclude=tuple(exclude or ()), limit=limit,
        path_column=path_column, root=root, page=page, address=address, part=part,
        retry_failed=retry_failed, assess=True,
    )  # fmt: skip
    summary = run_job(options, progress=make_progress(), say=say, command=[PROGRAM, *sys.argv[1:]])
    say(summary.text())
    if as_json:
        typer.echo(json.dumps(summary.as_json()))
    raise typer.Exit(summary.exit_code)
