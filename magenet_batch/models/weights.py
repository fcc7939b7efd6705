"""Save and load weights: safetensors only; nothing is unpickled."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from magenet_batch.errors import WeightsError
from magenet_batch.models.build import Network, build_network, read_config
from magenet_batch.models.catalog import FORMAT, WeightsFile, read_weights_file
from magenet_batch.models.config import MageNetConfig
from magenet_batch.models.restoration.config import RestorationConfig
from magenet_batch.storage import write_atomic

_FLOATS = ("F16", "BF16", "F32", "F64")


def save_weights(network: Network, path: Path, *, name: str, notes: dict[str, str]) -> None:
    """Write weights as float16, atomically.

    Args:
        network: the network whose parameters to save.
        path: path of the file.
        name: name of the weights, for people.
        notes: further notes, as texts by key.
    """
    tensors = {
        key: value.detach().to("cpu", torch.float16).contiguous()
        for key, value in network.state_dict().items()
    }
    config = network.config.model_dump_json()
    metadata = {"format": FORMAT, "name": name, "config": config, "notes": json.dumps(notes)}
    write_atomic(path, save(tensors, metadata=metadata))


def _described(found: WeightsFile) -> MageNetConfig | RestorationConfig:
    """Parse the configuration in a weights file, and check the tensors against it before loading.

    Raises:
        WeightsError: this version cannot build the network, or the tensors do not fit it.
    """
    try:
        config = read_config(found.config)
        with torch.device("meta"):
            expected = build_network(config).state_dict()
    except (ValidationError, ValueError, TypeError, RuntimeError, IndexError) as error:
        first = " ".join(str(error).split())[:300]
        raise WeightsError(
            f"{found.path} describes a network that this version cannot build: {first}"
        ) from error
    with safe_open(found.path, framework="pt") as file:
        slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
        there = {key: (s.get_shape(), s.get_dtype()) for key, s in slices.items()}
    missing, more = expected.keys() - there.keys(), there.keys() - expected.keys()
    if missing or more:
        what = f"lacks {min(missing)}" if missing else f"has {min(more)} too many"
        raise WeightsError(f"{found.path} does not fit its network: it {what}")
    for key, (shape, kind) in there.items():
        if shape != list(expected[key].shape) or kind not in _FLOATS:
            raise WeightsError(
                f"{found.path} does not fit its network: {key} has the shape {shape} and "
                f"the type {kind}, not {list(expected[key].shape)} and floating point"
            )
    return config


def load_weights(name_or_path: str) -> tuple[Network, WeightsFile]:
    """Build the network that weights describe and load them, in float32 and in evaluation mode.

    Args:
        name_or_path: name of shipped weights, or path of a `.safetensors` file.

    Raises:
        WeightsError: the file is missing or damaged, or its tensors do not fit its configuration.
    """
    found = read_weights_file(name_or_path)
    network = build_network(_described(found))
    tensors = {}
    try:
        with safe_open(found.path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118
                tensors[key] = file.get_tensor(key).float()
        network.load_state_dict(tensors)
    except (SafetensorError, RuntimeError, OSError) as error:
        first = " ".join(str(error).strip().splitlines()[:2])
        raise WeightsError(f"{found.path} does not fit its network: {first}") from error
    if not all(torch.isfinite(t).all() for t in tensors.values()):
        raise WeightsError(f"{found.path} contains values that are not finite: train it again")
    network.eval().requires_grad_(False)
    return network, found
