"""`magenet plan`: hours, machines and cost of a job, measured on a sample."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from magenet_batch.cli.console import say, tell
from magenet_batch.cli.job_options import (
    WORK,
    Archive,
    AsJson,
    ColourModelOption,
    Evidence,
    Exclude,
    Format,
    Gpus,
    Include,
    Limit,
    LookName,
    Page,
    PathColumn,
    PolicyName,
    Quality,
    Resolution,
    Root,
    Weights,
    Workers,
    job_options,
)
from magenet_batch.duration import seconds_of
from magenet_batch.errors import EXIT_INTERRUPTED
from magenet_batch.settings import DEFAULT_WEIGHTS


def command(
    archive: Archive,
    deadline: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Say how many machines finish within this time, such as 24h or 90min.",
            rich_help_panel=WORK,
        ),
    ] = None,
    price: Annotated[
        float | None,
        typer.Option(
            min=0, help="Price of one machine for an hour, for the cost.", rich_help_panel=WORK
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            min=8,
            help="Number of images to measure. Default: 48, or 8 for each worker.",
            rich_help_panel=WORK,
        ),
    ] = None,
    workers: Workers = None,
    gpus: Gpus = None,
    weights: Weights = DEFAULT_WEIGHTS,
    include: Include = None,
    exclude: Exclude = None,
    limit: Limit = None,
    path_column: PathColumn = None,
    root: Root = None,
    resolution: Resolution = None,
    quality: Quality = None,
    output_format: Format = "source",
    page: Page = None,
    colour_model: ColourModelOption = None,
    policy: PolicyName = "standard",
    look: LookName = "natural",
    evidence: Evidence = False,
    as_json: AsJson = False,
) -> None:
    """Measure a sample of an archive, and estimate the time for the whole archive.

    The sample is enhanced into a temporary folder with the given options. Give them as for
    `magenet enhance`.
    """
    options = job_options(locals())
    until = None if deadline is None else seconds_of(deadline)
    from magenet_batch.jobs.capacity.forecast import make_forecast

    forecast = make_forecast(options, sample=sample, deadline=until, price=price, say=say)
    if forecast is None:
        raise typer.Exit(EXIT_INTERRUPTED)
    tell(json.dumps(forecast.as_json()) if as_json else forecast.text())
