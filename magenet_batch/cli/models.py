"""`magenet models`: list the shipped weights, and their notes."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from magenet_batch.cli.console import tell
from magenet_batch.settings import DEFAULT_WEIGHTS

_PURPOSES = {
    "small": "restores; for CPUs and GPUs",
    "base": "restores more vessels; for GPUs, on a CPU at three times the time of the network",
    "affine": "colour transforms alone, the default of old; for comparison",
}


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print the weights as JSON.")] = False,
    notes: Annotated[
        bool, typer.Option("--notes", help="Also print how each was trained, and on what.")
    ] = False,
) -> None:
    """List the weights in the package."""
    from magenet_batch.models.catalog import read_weights_file, shipped_names

    found = [read_weights_file(name) for name in shipped_names()]
    if as_json:
        rows = [
            {"name": w.name, "path": str(w.path), "hash": w.hash, "notes": w.notes} for w in found
        ]
        tell(json.dumps(rows, indent=2))
        return
    if not found:
        tell("No weights in the package. Train weights: magenet train recipes/small.toml")
    for weights in sorted(found, key=lambda one: (one.name != DEFAULT_WEIGHTS, one.name)):
        default = ", the default" if weights.name == DEFAULT_WEIGHTS else ""
        size = weights.path.stat().st_size / 1e6
        tell(f"{weights.name}: {size:.1f} MB, {weights.hash}{default}")
        if weights.name in _PURPOSES:
            tell(f"  {_PURPOSES[weights.name]}")
        for key, value in weights.notes.items() if notes else ():
            tell(f"  {key}: {value}")
