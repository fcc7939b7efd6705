"""Checkpoints: everything needed to resume exactly, in one safetensors file, written atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from magenet_batch.errors import TrainingError
from magenet_batch.storage import write_atomic


@dataclass
class Progress:
    """Progress of a run.

    Attributes:
        step: number of optimiser steps done.
        seconds: training time, summed over all resumes.
        recipe: fingerprint of everything that must not change between resumes.
    """

    step: int = 0
    seconds: float = 0.0
    recipe: str = ""


def save_checkpoint(
    path: Path,
    *,
    networks: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> None:
    """Write a checkpoint atomically.

    Args:
        path: path of the file.
        networks: networks by name, such as student and teacher.
        optimizer: its state is saved by the index of each parameter.
        progress: progress of the run.
    """
    tensors = {
        f"{name}/{key}": value
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"optimizer/{index}/{key}"] = torch.as_tensor(value)
    stored = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    write_atomic(path, save(stored, metadata=described(progress)))


def described(progress: Progress) -> dict[str, str]:
    """Metadata of a checkpoint file."""
    return {"progress": json.dumps(asdict(progress))}


def read_progress(path: Path, *, recipe: str = "") -> Progress:
    """Read the progress stored in a checkpoint, without its tensors.

    Args:
        path: path of the file.
        recipe: fingerprint of the current recipe; empty accepts any.

    Raises:
        TrainingError: the file is damaged or belongs to another recipe.
    """
    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress(**json.loads(file.metadata()["progress"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(path, error) from error
    if recipe and progress.recipe != recipe:
        raise TrainingError(
            f"the checkpoint {path} belongs to another recipe: set another run.output, "
            "or delete the folder to start over"
        )
    return progress


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint.

    Raises:
        TrainingError: the file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> TrainingError:
    return TrainingError(f"the checkpoint {path} cannot be read ({error}): delete it to start over")


def load_checkpoint(
    path: Path, *, networks: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, recipe: str
) -> Progress:
    """Restore networks and optimiser from a checkpoint, in place.

    Args:
        path: path of the file.
        networks: networks by the same names as when it was saved.
        optimizer: an optimiser over the same parameters.
        recipe: fingerprint of the current recipe.

    Returns:
        The progress at the time of the checkpoint.

    Raises:
        TrainingError: the file is damaged or belongs to another recipe.
    """
    progress, tensors = read_progress(path, recipe=recipe), read_tensors(path)
    for name, network in networks.items():
        prefix = f"{name}/"
        network.load_state_dict(
            {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        )
    state = optimizer.state_dict()
    state["state"] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, index, entry = key.split("/")
            state["state"].setdefault(int(index), {})[entry] = value
    optimizer.load_state_dict(state)
    return progress
