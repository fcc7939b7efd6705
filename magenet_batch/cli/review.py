"""`magenet review`: what waits for a reviewer, and what reviewers decided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from magenet_batch.cli.console import say, tell
from magenet_batch.settings import DEFAULT_OUT


def command(
    out: Annotated[str, typer.Argument(help="Output folder of a job.")] = DEFAULT_OUT,
    apply: Annotated[
        Path | None,
        typer.Option(
            "--apply",
            metavar="FILE",
            help="Obey the decisions in a CSV file that was exported from the report.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take back all decisions about this job.")
    ] = False,
    reviewer: Annotated[
        str | None,
        typer.Option(help="Record this name where the file names nobody. Default: your login."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the images to review, or deliver and withhold images as reviewers decided."""
    from magenet_batch.errors import UsageError
    from magenet_batch.jobs.review.apply import Review
    from magenet_batch.jobs.review.waiting import read_waiting
    from magenet_batch.records.run_info import now
    from magenet_batch.storage import given_location

    if apply is not None and undo:
        raise UsageError("--apply and --undo exclude each other. Leave one of them out.")
    review = Review(given_location(out), say=say)
    if apply is None and not undo:
        if review.interrupted and not dry_run:
            review.apply([])
        waiting = read_waiting(review.out)
        tell(json.dumps(waiting.as_json()) if as_json else waiting.text())
        return
    who, when = reviewer or _login(), now()
    if apply is not None:
        content = apply.read_bytes()
        decisions = review.read(content, str(apply), reviewer=who, when=when)
    else:
        decisions = review.undo_all(reviewer=who, when=when)
    result = review.preview(decisions) if dry_run else review.apply(decisions)
    tell(json.dumps(result.as_json()) if as_json else result.text())
    raise typer.Exit(result.exit_code)


def _login() -> str:
    """The name of who is logged in; `unknown` where the system does not say."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
