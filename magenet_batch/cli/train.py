"""`magenet train`: from a recipe to weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from magenet_batch.cli.console import say


def command(
    recipe: Annotated[
        Path,
        typer.Argument(help="A recipe: a TOML file, or a shipped one such as recipes/small.toml."),
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="TABLE.KEY=VALUE",
            help="Change one entry of the recipe, such as run.output=FOLDER. May be repeated.",
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew instead of resuming from the checkpoint.")
    ] = False,
    stop_after: Annotated[
        float, typer.Option(min=0, metavar="MINUTES", help="Save and end after so long; 0: never.")
    ] = 0.0,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the recipe as JSON, count its images, estimate the time, and stop.",
        ),
    ] = False,
) -> None:
    """Train MAGE-Net. Give the same command again to resume where it stopped."""
    from magenet_batch.training.recipes.load import load_recipe

    loaded = load_recipe(recipe, changes=changes or [])
    if dry_run:
        from magenet_batch.training.estimate import outlook

        typer.echo(loaded.model_dump_json(indent=2))
        say(outlook(loaded))
        return
    from magenet_batch.training.run import train

    raise typer.Exit(train(loaded, fresh=fresh, stop_after=stop_after))
