"""Options that more than one command has: the same name, meaning and help everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

Archive = Annotated[
    list[str],
    typer.Argument(help="Folders, single images or .parquet manifests.", show_default=False),
]
Out = Annotated[str, typer.Option("--out", "-o", help="The output folder, or s3://BUCKET/FOLDER.")]
Workers = Annotated[
    int | None,
    typer.Option(min=0, help="Ray workers; 0 works in this process. Default: by job and machine."),
]
ShardSize = Annotated[
    int | None, typer.Option(min=1, help="Images that are done and recorded together.")
]
Include = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Take files that match, whatever their extension."),
]
Exclude = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="Leave out files that match.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many.")]
PathColumn = Annotated[
    str | None, typer.Option(help="The manifest's column of paths. Default: guessed.")
]
Root = Annotated[str | None, typer.Option(help="Folder of the manifest's paths. Default: its own.")]
Page = Annotated[
    int | None,
    typer.Option(min=1, help="Which picture to take from files that hold several."),
]
Address = Annotated[
    str | None, typer.Option(help="A running Ray cluster: auto, HOST:PORT or ray://...")
]
Part = Annotated[
    str | None,
    typer.Option(metavar="I/N", help="Only a part of the job, for schedulers without Ray."),
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try the failed images again.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the summary as JSON to standard output.")
]
