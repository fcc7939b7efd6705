"""Options that several commands share: the same name, meaning and help everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

from magenet_batch.settings import ColourModel

INPUT, OUTPUT, DELIVERY, WORK = "Input", "Output", "Restoration and delivery", "Work"
"""Groups of options in the help texts."""

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
AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the summary as JSON to standard output.", rich_help_panel=OUTPUT
    ),
]
