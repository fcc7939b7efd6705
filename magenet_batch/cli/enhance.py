"""`magenet enhance`: enhance a whole archive; resumable."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from magenet_batch.cli.console import make_progress, say
from magenet_batch.cli.job_options import (
    DELIVERY,
    INPUT,
    OUTPUT,
    WORK,
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
    ShardSize,
    Workers,
)
from magenet_batch.imaging.metadata import MetadataPolicy
from magenet_batch.imaging.names import OutputFormat
from magenet_batch.settings import (
    DEFAULT_OUT,
    DEFAULT_WEIGHTS,
    PROGRAM,
    Deidentify,
    DicomSyntax,
    GreyAction,
    Look,
    OriginalAction,
    Sidecar,
)

if TYPE_CHECKING:
    from magenet_batch.jobs.options import JobOptions


def command(
    archive: Archive,
    out: Out = DEFAULT_OUT,
    workers: Workers = None,
    gpus: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Number of GPUs to share among workers; 0 runs on the CPU. "
            "Default: all available.",
            rich_help_panel=WORK,
        ),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            metavar="NAME|PATH",
            help="Use these weights: a shipped name or a .safetensors file.",
            rich_help_panel=DELIVERY,
        ),
    ] = DEFAULT_WEIGHTS,
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
    resolution: Annotated[
        int | None,
        typer.Option(
            min=64,
            help="Reduce wider images to this width, in pixels. Default: full resolution.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(
            min=1, max=100, help="Set the JPEG quality of the outputs.", rich_help_panel=OUTPUT
        ),
    ] = None,
    output_format: Annotated[
        OutputFormat,
        typer.Option(
            help="Set the format of the outputs; source keeps that of each original.",
            rich_help_panel=OUTPUT,
        ),
    ] = "source",
    metadata: Annotated[
        MetadataPolicy,
        typer.Option(
            help="Choose the metadata that outputs carry over from the originals.",
            rich_help_panel=OUTPUT,
        ),
    ] = "keep",
    dicom_syntax: Annotated[
        DicomSyntax,
        typer.Option(
            help="Store the pixels of DICOM outputs uncompressed, or compressed without loss.",
            rich_help_panel=OUTPUT,
        ),
    ] = "explicit",
    deidentify: Annotated[
        Deidentify,
        typer.Option(
            help="De-identify outputs after the basic profile of DICOM PS3.15.",
            rich_help_panel=OUTPUT,
        ),
    ] = "none",
    page: Page = None,
    colour_model: ColourModelOption = None,
    policy: Annotated[
        str,
        typer.Option(
            help="Choose what to enhance and deliver: standard, cautious or all.",
            rich_help_panel=DELIVERY,
        ),
    ] = "standard",
    policy_set: Annotated[
        list[str] | None,
        typer.Option(
            metavar="T=VALUE",
            help="Change a threshold of the policy, such as fidelity=0.5 or area=off.",
            rich_help_panel=DELIVERY,
        ),
    ] = None,
    kept: Annotated[
        OriginalAction,
        typer.Option(
            help="What to do with originals that are good already or whose result is withheld.",
            rich_help_panel=DELIVERY,
        ),
    ] = "copy",
    rejects: Annotated[
        OriginalAction,
        typer.Option(help="What to do with rejected originals.", rich_help_panel=DELIVERY),
    ] = "omit",
    grey: Annotated[
        GreyAction,
        typer.Option(
            help="Deliver grey photographs as they came, or enhance them in grey.",
            rich_help_panel=DELIVERY,
        ),
    ] = "keep",
    blend: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Blend outputs with the original: 1 is fully enhanced.",
            rich_help_panel=DELIVERY,
        ),
    ] = 1.0,
    look: Annotated[
        Look,
        typer.Option(
            help="Restore what was there (natural), or raise local contrast afterwards (clear).",
            rich_help_panel=DELIVERY,
        ),
    ] = "natural",
    evidence: Annotated[
        bool,
        typer.Option(
            "--evidence",
            help="Write a picture of what changed in each image.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    sidecar: Annotated[
        Sidecar,
        typer.Option(
            help="Write each row beside its image as well, as a JSON file.",
            rich_help_panel=OUTPUT,
        ),
    ] = "none",
    address: Address = None,
    part: Part = None,
    retry_failed: RetryFailed = False,
    append: Append = False,
    as_json: AsJson = False,
) -> None:
    """Enhance an archive of fundus photographs. Re-run the same command to resume."""
    from magenet_batch.jobs.options import JobOptions

    options = JobOptions(
        archive=tuple(archive), out=out, workers=workers, gpus=gpus, weights=weights,
        shard_size=shard_size, include=tuple(include or ()), exclude=tuple(exclude or ()),
        limit=limit, path_column=path_column, root=root, resolution=resolution, quality=quality,
        output_format=output_format, metadata=metadata, page=page, address=address, part=part,
        colour_model=colour_model, dicom_syntax=dicom_syntax, deidentify=deidentify,
        retry_failed=retry_failed, append=append, policy=policy,
        policy_set=tuple(policy_set or ()), kept=kept, rejects=rejects, grey=grey, blend=blend,
        look=look, evidence=evidence, sidecar=sidecar,
    )  # fmt: skip
    if dry_run:
        _show_plan(options, as_json=as_json)
        return
    from magenet_batch.jobs.run import run_job

    summary = run_job(options, progress=make_progress(), say=say, command=[PROGRAM, *sys.argv[1:]])
    say(summary.text())
    if as_json:
        typer.echo(json.dumps(summary.as_json()))
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
        typer.echo(json.dumps(facts))
    else:
        typer.echo(f"{describe_plan(plan)}\n{guess}")
