"""`magenet evaluate`: are these weights any good, and compared with what?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from magenet_batch.cli.console import say, tell
from magenet_batch.settings import DEFAULT_WEIGHTS

_IMAGES, _COMPARISON, _OUTPUT = "Images", "Comparison", "Output"
_FOLDER = {"exists": True, "file_okay": False, "rich_help_panel": _IMAGES}


def command(
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            help="Measure these weights: a shipped name or a .safetensors file.",
            rich_help_panel=_COMPARISON,
        ),
    ] = DEFAULT_WEIGHTS,
    clean: Annotated[
        Path | None,
        typer.Option(
            help="Folder of sharp images, never trained on, for synthetic pairs.", **_FOLDER
        ),
    ] = None,
    vessels: Annotated[
        Path | None, typer.Option(help="Folder with images/ and masks/ of vessels.", **_FOLDER)
    ] = None,
    lesions: Annotated[
        Path | None,
        typer.Option(help="Folder with images/ and masks/IMAGE_KIND.png of lesions.", **_FOLDER),
    ] = None,
    real: Annotated[
        list[Path] | None, typer.Option(help="Folder of real images. May be repeated.", **_FOLDER)
    ] = None,
    against: Annotated[
        str,
        typer.Option(
            help="Compare with these, comma-separated: identity, clahe, luminosity, dcp, "
            "dcp_inverted, graham, unsharp, polyblur, or NAME=FILE for other weights.",
            rich_help_panel=_COMPARISON,
        ),
    ] = "clahe,luminosity,dcp,graham",
    presets: Annotated[
        str,
        typer.Option(
            help="Degrade by these presets, comma-separated; 'kinds' is each kind alone.",
            rich_help_panel=_COMPARISON,
        ),
    ] = "evaluation,mild,kinds,clean",
    images: Annotated[
        int,
        typer.Option(
            min=0, help="Maximum images per folder; 0 means all.", rich_help_panel=_IMAGES
        ),
    ] = 0,
    size: Annotated[
        int,
        typer.Option(min=64, help="Longest side of the pairs, in pixels.", rich_help_panel=_IMAGES),
    ] = 512,
    seed: Annotated[
        int,
        typer.Option(min=0, help="Random seed for the degradations.", rich_help_panel=_COMPARISON),
    ] = 1,
    device: Annotated[
        str,
        typer.Option(help="Compute on auto, cpu, cuda or cuda:N.", rich_help_panel=_COMPARISON),
    ] = "auto",
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="Folder to write the results to.", rich_help_panel=_OUTPUT
        ),
    ] = Path("eval"),
) -> None:
    """Measure weights on images that they never saw; compare with classical methods."""
    from magenet_batch.evaluation.evaluate import EvaluateOptions, evaluate

    options = EvaluateOptions(
        weights=weights, output=output, clean=clean, vessels=vessels, lesions=lesions,
        real=tuple(real or ()), against=tuple(against.split(",")),
        presets=tuple(presets.split(",")), images=images, size=size, seed=seed, device=device,
    )  # fmt: skip
    tell(evaluate(options, say=say))
    say(f"written to {output}: index.html, summary.md, measures.parquet")
