"""The model card: training data, training time and measurements of weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from magenet_batch import __version__
from magenet_batch.processor import cpu_model
from magenet_batch.storage import write_atomic
from magenet_batch.training.checkpoint import Progress
from magenet_batch.training.curves import read_points
from magenet_batch.training.recipes.load import fingerprint
from magenet_batch.training.recipes.schema import AffineRecipe, RestorationRecipe

if TYPE_CHECKING:
    from magenet_batch.models.build import Network


_ARCHITECTURES = {
    "magenet": "MAGE-Net", "affine": "Network of local colour transforms", "unet": "U-Net",
}  # fmt: skip


def card_notes(
    recipe: AffineRecipe,
    progress: Progress,
    *,
    begun_from: str,
    folder: Path,
    device: torch.device,
) -> dict[str, str]:
    """Collect the notes of the card, as texts by key; they are also stored in the weights file.

    Args:
        recipe: recipe of the run.
        progress: final progress of the run.
        begun_from: description of the weights that the run started from; empty for none.
        folder: folder of the run, which has the last validation.
        device: device of the training.
    """
    hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()
    data = recipe.data
    return {
        "clean images": ", ".join(data.clean),
        "real images": ", ".join(data.real) if recipe.consistency.weight > 0 else "none",
        "vessel masks": ", ".join(data.vessels),
        "attribution": "; ".join(data.attribution) or "not given in the recipe",
        "left out": f"{len(data.exclude)} images that were inspected and excluded as ground truth",
        "begun from": begun_from or "nothing",
        "steps": str(progress.step),
        "hours": f"{progress.seconds / 3600:.2f}, without the structure module",
        "hardware": hardware,
        "seed": str(recipe.run.seed),
        "recipe": fingerprint(recipe),
        "versions": f"magenet {__version__}, torch {torch.__version__}",
        "validation": json.dumps(last_validation(folder)),
        "validation set": f"{', '.join(data.validation)}, {recipe.validation.images} images at "
        f"{recipe.validation.size} px, degraded by preset '{recipe.validation.preset}'",
    }


def restoration_notes(
    recipe: RestorationRecipe,
    progress: dict[str, tuple[int, float]],
    *,
    folder: Path,
    device: torch.device,
) -> dict[str, str]:
    """Collect the notes of the card of a restoring network, as texts by key.

    Args:
        recipe: recipe of the run.
        progress: steps and seconds of each part that was trained by steps.
        folder: folder of the run, which has the last validations.
        device: device of the training.
    """
    data = recipe.data
    measured = {
        f"{part}: {key}": value
        for part in progress
        for key, value in last_validation(folder / part).items()
        if key != "step"
    }
    return {
        "clean images": ", ".join(data.clean),
        "real images": ", ".join(data.real) if recipe.light.consistency > 0 else "none",
        "vessel masks": ", ".join(data.vessels),
        "attribution": "; ".join(data.attribution) or "not given in the recipe",
        "left out": f"{len(data.exclude)} images that were inspected and excluded as ground truth, "
        f"{len(data.unevenly_lit)} more for light alone",
        "steps": ", ".join(f"{part} {steps}" for part, (steps, _) in progress.items()),
        "hours": ", ".join(f"{part} {s / 3600:.2f}" for part, (_, s) in progress.items())
        + ", without the structure module",
        "hardware": torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name(),
        "seed": str(recipe.run.seed),
        "recipe": fingerprint(recipe),
        "versions": f"magenet {__version__}, torch {torch.__version__}",
        "validation": json.dumps(measured),
        "validation set": ", ".join(data.validation),
    }


def last_validation(folder: Path) -> dict[str, float]:
    """The last validation in the curves of a run; empty if there was none."""
    measured = [p for p in read_points(folder) if p.group == "validation"]
    return {"step": measured[-1].step, **measured[-1].numbers} if measured else {}


def write_card(path: Path, notes: dict[str, str], *, name: str, network: Network) -> Path:
    """Write the card as Markdown; returns its path."""
    parameters = sum(p.numel() for p in network.parameters()) / 1e6
    measured: dict[str, float] = json.loads(notes["validation"])
    lines = [
        f"# Weights `{name}`",
        "",
        f"{_ARCHITECTURES[network.config.architecture]} "
        f"`{network.config.size}`, {parameters:.2f} million parameters, float16.",
        "Research use only: not a medical device.",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {key} | {text} |" for key, text in notes.items() if key != "validation"),
        "",
        "Measured at the end of training: "
        "means over the validation images, inside the field of view.",
        "",
        "| measure | value |",
        "| --- | --- |",
        *(f"| {key} | {value:.4g} |" for key, value in measured.items() if key != "step"),
        "",
    ]
    write_atomic(path, "\n".join(lines).encode())
    return path


def _cpu_name() -> str:
    return f"{cpu_model()}, {torch.get_num_threads()} threads"
