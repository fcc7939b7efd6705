"""`magenet watch`: enhance images as they arrive; a service."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated

import typer

from magenet_batch.cli.console import make_progress, say
from magenet_batch.cli.job_options import (
    WORK,
    Address,
    Archive,
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
    LookName,
    Metadata,
    Out,
    Page,
    PathColumn,
    PolicyName,
    PolicySet,
    Quality,
    Rejects,
    Resolution,
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


def command(
    archive: Archive,
    out: Out = DEFAULT_OUT,
    workers: Workers = None,
    gpus: Gpus = None,
    weights: Weights = DEFAULT_WEIGHTS,
    shard_size: ShardSize = None,
    include: Include = None,
    exclude: Exclude = None,
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
    every: Annotated[
        float, typer.Option(min=1, help="Seconds between two looks.", rich_help_panel=WORK)
    ] = 10.0,
    settle: Settle = 2.0,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Serve metrics for Prometheus on this port of 127.0.0.1. Default: none.",
            rich_help_panel=WORK,
        ),
    ] = None,
) -> None:
    """Enhance images as they arrive in a folder or bucket, until stopped."""
    options = job_options(locals(), append=True)
    from magenet_batch.jobs.watch.metrics import Metrics, served
    from magenet_batch.jobs.watch.service import Watch

    metrics = Metrics()
    service = Watch(
        options, every=every, metrics=metrics, say=say, progress=make_progress,
        command=[PROGRAM, *sys.argv[1:]],
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        if metrics_port is not None:
            port = stack.enter_context(served(metrics, metrics_port))
            say(f"metrics on http://127.0.0.1:{port}/metrics")
        say(f"watching {', '.join(archive)} every {every:g} s")
        service.run()
