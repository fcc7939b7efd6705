"""`magenet status`: show the progress of a job."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from magenet_batch.cli.console import tell
from magenet_batch.settings import DEFAULT_OUT


def command(
    out: Annotated[str, typer.Argument(help="Output folder of a job.")] = DEFAULT_OUT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the status as JSON.")] = False,
) -> None:
    """Show the progress of a job, while it runs and after. Changes nothing."""
    from magenet_batch.jobs.ledger.status import read_status
    from magenet_batch.storage import given_location

    status = read_status(given_location(out))
    tell(json.dumps(status.as_json()) if as_json else status.text())
