"""`magenet assess`: the quality of a whole archive, nothing enhanced."""

from __future__ import annotations

import json
import sys

import typer

from magenet_batch.cli.console import make_progress, say, tell
from magenet_batch.cli.job_options import (
    Address,
    Append,
    Archive,
    AsJson,
    ColourModelOption,
    Exclude,
    Include,
    Limit,
    Out,
    Page,
    Part,
    PathColumn,
    RetryFailed,
    Root,
    Settle,
    ShardSize,
    Workers,
    job_options,
)
from magenet_batch.settings import DEFAULT_OUT, PROGRAM


def command(
    archive: Archive,
    out: Out = DEFAULT_OUT,
    workers: Workers = None,
    shard_size: ShardSize = None,
    include: Include = None,
    exclude: Exclude = None,
    limit: Limit = None,
    path_column: PathColumn = None,
    root: Root = None,
    page: Page = None,
    colour_model: ColourModelOption = None,
    address: Address = None,
    part: Part = None,
    retry_failed: RetryFailed = False,
    append: Append = False,
    settle: Settle = 0.0,
    as_json: AsJson = False,
) -> None:
    """Grade and measure an archive without enhancing it. Re-run the same command to resume."""
    from magenet_batch.jobs.run import run_job

    options = job_options(locals(), gpus=0, assess=True)
    summary = run_job(options, progress=make_progress(), say=say, command=[PROGRAM, *sys.argv[1:]])
    say(summary.text())
    if as_json:
        tell(json.dumps(summary.as_json()))
    raise typer.Exit(summary.exit_code)
