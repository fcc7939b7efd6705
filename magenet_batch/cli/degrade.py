"""`magenet degrade`: write degraded copies and their recorded parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from magenet_batch.cli.console import say, tell


def command(
    folder: Annotated[
        Path, typer.Argument(help="Folder of sharp images.", exists=True, file_okay=False)
    ],
    output: Annotated[
        str, typer.Option("-o", "--output", help="Folder to write the copies to.")
    ] = "degraded",
    preset: Annotated[
        str,
        typer.Option(
            help="Use this preset: evaluation, camera_evaluation, mild, train, sensor, or "
            "PRESET:KIND for one kind alone."
        ),
    ] = "evaluation",
    copies: Annotated[int, typer.Option(min=1, help="Number of copies of each image.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Random seed for the degradations.")] = 1,
    replay: Annotated[
        Path | None,
        typer.Option(
            help="Repeat the degradations recorded in this degradations.parquet.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Write degraded copies of sharp images, and the parameters that repeat them exactly."""
    from magenet_batch.errors import UsageError
    from magenet_batch.evaluation.copies import write_copies
    from magenet_batch.storage import StorePath, given_location

    place = given_location(output)
    if isinstance(place, StorePath):
        raise UsageError(f"{output}: copies are written to a folder on this machine.")
    count = write_copies(
        folder, place, preset=preset, copies=copies, seed=seed, replay=replay,
        say=say,
    )  # fmt: skip
    tell(f"{count} images and degradations.parquet in {output}")
