"""`magenet send`: store delivered DICOM images on a DICOMweb server."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from magenet_batch.cli.console import make_progress, say, tell


def command(
    out: Annotated[str, typer.Argument(help="Output folder of a job.", show_default=False)],
    url: Annotated[
        str,
        typer.Argument(
            help="Address of a DICOMweb service, such as https://HOST/dicom-web.",
            show_default=False,
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Store delivered DICOM images on a DICOMweb server, each once. Re-run to resume."""
    from magenet_batch.dicomweb.address import parse_base
    from magenet_batch.jobs.send.send import send
    from magenet_batch.storage import given_location

    result = send(
        given_location(out), parse_base(url), dry_run=dry_run, progress=make_progress(), say=say
    )
    tell(json.dumps(result.as_json()) if as_json else result.text())
    raise typer.Exit(result.exit_code)
