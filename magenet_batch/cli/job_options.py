"""Options that several commands share: the same name, meaning and help everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from magenet_batch.imaging.metadata import MetadataPolicy
from magenet_batch.imaging.names import OutputFormat
from magenet_batch.settings import (
    ColourModel,
    Deidentify,
    DicomSyntax,
    GreyAction,
    Look,
    OriginalAction,
    Sidecar,
)

if TYPE_CHECKING:
    from magenet_batch.jobs.options import JobOptions

INPUT, OUTPUT, DELIVERY, WORK = "Input", "Output", "Restoration and delivery", "Work"
"""Groups of options in the help texts."""
_SEVERAL = ("archive", "include", "exclude", "policy_set")

Archive = Annotated[
    list[str],
    typer.Argument(
        help="Folders, images, manifests (.parquet, .pq, .csv, .tsv, .txt), - for a list, or URIs "
        "(s3://, gs://, dicomweb+https://).",
        show_default=False,
    ),
]
Out = Annotated[
    str,
    typer.Option(
        "-o", "--output", help="Output folder, or s3://BUCKET/FOLDER.", rich_help_panel=OUTPUT
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Number of workers; 0 runs in this process. Default: chosen for job and machine.",
        rich_help_panel=WORK,
    ),
]
ShardSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Images per shard (the unit of work and of resuming).",
        rich_help_panel=WORK,
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB",
        help="Include files that match, whatever their extension. May be repeated.",
        rich_help_panel=INPUT,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB", help="Exclude files that match. May be repeated.", rich_help_panel=INPUT
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Process only the first N images.", rich_help_panel=INPUT),
]
PathColumn = Annotated[
    str | None,
    typer.Option(
        help="Column of the manifest that holds the paths. Default: detected.",
        rich_help_panel=INPUT,
    ),
]
Root = Annotated[
    str | None,
    typer.Option(
        help="Folder that the manifest's paths are relative to. Default: the manifest's own; "
        "for -, the current folder.",
        rich_help_panel=INPUT,
    ),
]
Page = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Page to read from multi-page files, starting at 1.",
        rich_help_panel=INPUT,
    ),
]
ColourModelOption = Annotated[
    ColourModel | None,
    typer.Option(
        "--colour-model",
        help="Read colour DICOM images as rgb or ybr, where their label is wrong.",
        rich_help_panel=INPUT,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Connect to a running Ray cluster: auto, HOST:PORT or ray://...",
        rich_help_panel=WORK,
    ),
]
Part = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Process only part I of N, for schedulers without Ray.",
        rich_help_panel=WORK,
    ),
]
RetryFailed = Annotated[
    bool,
    typer.Option("--retry-failed", help="Retry the images that failed.", rich_help_panel=WORK),
]
Append = Annotated[
    bool,
    typer.Option(
        "--append",
        help="Include images that are new or changed since the job was planned.",
        rich_help_panel=WORK,
    ),
]
Settle = Annotated[
    float,
    typer.Option(
        min=0,
        help="Seconds that a file must keep its size and time before it is planned.",
        rich_help_panel=WORK,
    ),
]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the summary as JSON to standard output.", rich_help_panel=OUTPUT
    ),
]
Gpus = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Number of GPUs to share among workers; 0 runs on the CPU. Default: all available.",
        rich_help_panel=WORK,
    ),
]
Weights = Annotated[
    str,
    typer.Option(
        metavar="NAME|PATH",
        help="Use these weights: a shipped name or a .safetensors file.",
        rich_help_panel=DELIVERY,
    ),
]
Resolution = Annotated[
    int | None,
    typer.Option(
        min=64,
        help="Reduce wider images to this width, in pixels. Default: full resolution.",
        rich_help_panel=INPUT,
    ),
]
Quality = Annotated[
    int | None,
    typer.Option(
        min=1, max=100, help="Set the JPEG quality of the outputs.", rich_help_panel=OUTPUT
    ),
]
Format = Annotated[
    OutputFormat,
    typer.Option(
        help="Set the format of the outputs; source keeps that of each original.",
        rich_help_panel=OUTPUT,
    ),
]
Metadata = Annotated[
    MetadataPolicy,
    typer.Option(
        help="Choose the metadata that outputs carry over from the originals.",
        rich_help_panel=OUTPUT,
    ),
]
Syntax = Annotated[
    DicomSyntax,
    typer.Option(
        help="Store the pixels of DICOM outputs uncompressed, or compressed without loss.",
        rich_help_panel=OUTPUT,
    ),
]
Deidentified = Annotated[
    Deidentify,
    typer.Option(
        help="De-identify outputs after the basic profile of DICOM PS3.15.",
        rich_help_panel=OUTPUT,
    ),
]
PolicyName = Annotated[
    str,
    typer.Option(
        help="Choose what to enhance and deliver: standard, cautious or all.",
        rich_help_panel=DELIVERY,
    ),
]
PolicySet = Annotated[
    list[str] | None,
    typer.Option(
        metavar="T=VALUE",
        help="Change a threshold of the policy, such as fidelity=0.5 or area=off.",
        rich_help_panel=DELIVERY,
    ),
]
Kept = Annotated[
    OriginalAction,
    typer.Option(
        help="What to do with originals that are good already or whose result is withheld.",
        rich_help_panel=DELIVERY,
    ),
]
Rejects = Annotated[
    OriginalAction,
    typer.Option(help="What to do with rejected originals.", rich_help_panel=DELIVERY),
]
Grey = Annotated[
    GreyAction,
    typer.Option(
        help="Deliver grey photographs as they came, or enhance them in grey.",
        rich_help_panel=DELIVERY,
    ),
]
Blend = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="Blend outputs with the original: 1 is fully enhanced.",
        rich_help_panel=DELIVERY,
    ),
]
LookName = Annotated[
    Look,
    typer.Option(
        help="Restore what was there (natural), or raise local contrast afterwards (clear).",
        rich_help_panel=DELIVERY,
    ),
]
Evidence = Annotated[
    bool,
    typer.Option(
        "--evidence",
        help="Write a picture of what changed in each image.",
        rich_help_panel=OUTPUT,
    ),
]
Sidecars = Annotated[
    Sidecar,
    typer.Option(
        help="Write each row beside its image as well, as a JSON file.",
        rich_help_panel=OUTPUT,
    ),
]


def job_options(given: Mapping[str, Any], **more: Any) -> JobOptions:
    """The options of a job from the parameters of a command.

    Args:
        given: parameters by name; those that are not options of a job are left out.
        more: options that the command sets itself.
    """
    from magenet_batch.jobs.options import JobOptions

    values = {name: value for name, value in given.items() if name in JobOptions.model_fields}
    values |= {name: tuple(values.get(name) or ()) for name in _SEVERAL}
    return JobOptions(**(values | more))
