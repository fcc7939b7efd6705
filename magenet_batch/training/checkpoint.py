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
    """Where a run is.

    Attributes:
        step: optimiser steps done.
        seconds: training time over all resumes.
        recipe: fingerprint of what must not change between resumes.
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
    """Write a checkpoint.

    Args:
        path: the file.
        networks: by name, such as student and teacher.
        optimizer: its state is saved by the place of each parameter.
        progress: where the run is.
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
    """What a checkpoint's file says of itself."""
    return {"progress": json.dumps(asdict(progress))}


def read_progress(path: Path, *, recipe: str = "") -> Progress:
    """Where a checkpoint was saved, without its tensors.

    Args:
        path: the file.
        recipe: fingerprint of the recipe now; empty accepts every one.

    Raises:
        TrainingError: if it is damaged or belongs to another recipe.
    """
    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress(**json.loads(file.metadata()["progress"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(path, error) from error
    if recipe and progress.recipe != recipe:
        raise TrainingError(
            f"the checkpoint {path} belongs to another recipe: set another run.output, "
            "or delete the folder to start anew"
        )
    return progress


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint.

    Raises:
        TrainingError: if it is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> TrainingError:
    return TrainingError(f"the checkpoint {path} cannot be read ({error}): delete it to start anew")


def load_checkpoint(
    path: Path, *, networks: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, recipe: str
) -> Progress:
    """Fill networks and optimiser from a checkpoint.

    Args:
        path: the file.
        networks: the same names as when it was saved.
        optimizer: over the same parameters.
        recipe: fingerprint of the recipe now.

    Raises:
        TrainingError: if it is damaged or belongs to another recipe.
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
