"""`magenet train`: train weights from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from magenet_batch.cli.console import say, tell


def command(
    recipe: Annotated[
        Path,
        typer.Argument(help="TOML file, or the name of a shipped recipe such as small."),
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="TABLE.KEY=VALUE",
            help="Change an entry of the recipe, such as run.output=FOLDER. May be repeated.",
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over instead of resuming from the checkpoint.")
    ] = False,
    stop_after: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="MINUTES",
            help="Stop after this many minutes and save a checkpoint; 0 disables.",
        ),
    ] = 0.0,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the recipe as JSON, count its images, estimate the time, and exit.",
        ),
    ] = False,
) -> None:
    """Train MAGE-Net. Re-run the same command to resume."""
    from magenet_batch.training.recipes.load import load_recipe

    loaded = load_recipe(recipe, changes=changes or [])
    if dry_run:
        from magenet_batch.training.estimate import outlook

        expected = outlook(loaded)  # first: whether data are missing is what matters most
        tell(loaded.model_dump_json(indent=2))
        say(expected)
        return
    from magenet_batch.training.run import train

    raise typer.Exit(train(loaded, fresh=fresh, stop_after=stop_after))
