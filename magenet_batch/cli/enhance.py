"""`magenet enhance`: enhance a whole archive; resumable."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from magenet_batch.cli.console import make_progress, say, tell
from magenet_batch.cli.job_options import (
    WORK,
    Address,
    Append,
    Archive,
    AsJson,
    Blend,
    ColourModelOption,
    Deidentified,
    Evidence,
    Exclude,
    Format,
    Gpus,
    Grey,
    Include,
    Kept,
    Limit,
    LookName,
    Metadata,
    Out,
    Page,
    Part,
    PathColumn,
    PolicyName,
    PolicySet,
    Quality,
    Rejects,
    Resolution,
    RetryFailed,
    Root,
    Settle,
    ShardSize,
    Sidecars,
    Syntax,
    Weights,
    Workers,
    job_options,
)
from magenet_batch.settings import DEFAULT_OUT, DEFAULT_WEIGHTS, PROGRAM

if TYPE_CHECKING:
    from magenet_batch.jobs.options import JobOptions


def command(
    archive: Archive,
    out: Out = DEFAULT_OUT,
    workers: Workers = None,
    gpus: Gpus = None,
    weights: Weights = DEFAULT_WEIGHTS,
    shard_size: ShardSize = None,
    include: Include = None,
    exclude: Exclude = None,
    limit: Limit = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show the plan and exit; write nothing.", rich_help_panel=WORK
        ),
    ] = False,
    path_column: PathColumn = None,
    root: Root = None,
    resolution: Resolution = None,
    quality: Quality = None,
    output_format: Format = "source",
    metadata: Metadata = "keep",
    dicom_syntax: Syntax = "explicit",
    deidentify: Deidentified = "none",
    page: Page = None,
    colour_model: ColourModelOption = None,
    policy: PolicyName = "standard",
    policy_set: PolicySet = None,
    kept: Kept = "copy",
    rejects: Rejects = "omit",
    grey: Grey = "keep",
    blend: Blend = 1.0,
    look: LookName = "natural",
    evidence: Evidence = False,
    sidecar: Sidecars = "none",
    address: Address = None,
    part: Part = None,
    retry_failed: RetryFailed = False,
    append: Append = False,
    settle: Settle = 0.0,
    as_json: AsJson = False,
) -> None:
    """Enhance an archive of fundus photographs. Re-run the same command to resume."""
    options = job_options(locals())
    if dry_run:
        _show_plan(options, as_json=as_json)
        return
    from magenet_batch.jobs.run import run_job

    summary = run_job(options, progress=make_progress(), say=say, command=[PROGRAM, *sys.argv[1:]])
    say(summary.text())
    if as_json:
        tell(json.dumps(summary.as_json()))
    raise typer.Exit(summary.exit_code)


def _show_plan(options: JobOptions, *, as_json: bool) -> None:
    from magenet_batch.jobs.plan.estimate import estimate
    from magenet_batch.jobs.plan.plan import describe_plan, make_plan
    from magenet_batch.jobs.run import allocation_for

    plan = make_plan(options)
    allocation = allocation_for(options, images=len(plan))
    guess = estimate(plan, workers=allocation.workers, gpus=allocation.gpus)
    if as_json:
        facts = {
            "images": len(plan), "bytes": plan.bytes, "shards": plan.shards,
            "shard_size": plan.shard_size, "estimate": guess,
        }  # fmt: skip
        tell(json.dumps(facts))
    else:
        tell(f"{describe_plan(plan)}\n{guess}")
