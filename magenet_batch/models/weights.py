"""Weights on disk: one safetensors file that says of itself what it is. Nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from magenet_batch.errors import WeightsError, nearest
from magenet_batch.imaging.write import write_atomic
from magenet_batch.models.config import MageNetConfig
from magenet_batch.models.magenet import MageNet

SHIPPED = Path(__file__).parent / "shipped"
DEFAULT = "small"
_FORMAT = "magenet-1"


@dataclass(frozen=True)
class WeightsInfo:
    """What weights say of themselves.

    Attributes:
        name: for people.
        path: the file.
        hash: SHA-256 of the file, first 16 hexadecimal digits.
        config: of the network.
        notes: what was written when they were saved: data, steps, measures.
    """

    name: str
    path: Path
    hash: str
    config: MageNetConfig
    notes: dict[str, str]


def shipped_names() -> list[str]:
    """Names of the weights in the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def find_weights(name_or_path: str) -> Path:
    """The file of shipped weights, or a file that the user names.

    Raises:
        WeightsError: if there is neither.
    """
    shipped = SHIPPED / f"{name_or_path}.safetensors"
    path = Path(name_or_path)
    if shipped.is_file():
        return shipped
    if path.is_file():
        return path
    raise WeightsError(
        f"there are no weights '{name_or_path}', neither shipped nor as a file: "
        + nearest(name_or_path, shipped_names() or ["(none shipped)"])
    )


def save_weights(network: MageNet, path: Path, *, name: str, notes: dict[str, str]) -> None:
    """Write weights as float16.

    Args:
        network: whose parameters to save.
        path: the file, written atomically.
        name: for people.
        notes: more to say, text by text.
    """
    tensors = {k: v.detach().to("cpu", torch.float16).contiguous() for k, v in network.state_dict().items()}
    config = network.config.model_dump_json()
    metadata = {"format": _FORMAT, "name": name, "config": config, "notes": json.dumps(notes)}
    write_atomic(path, save(tensors, metadata=metadata))


def weights_hash(path: Path) -> str:
    """The hash that rows record: SHA-256 of the file, first 16 hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def read_info(name_or_path: str) -> WeightsInfo:
    """What weights say of themselves, without loading them.

    Raises:
        WeightsError: if there is no such file or it is not one of ours.
    """
    path = find_weights(name_or_path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is no safetensors file: {error}") from error
    if metadata.get("format") != _FORMAT:
        raise WeightsError(
            f"{path} holds no magenet weights (its format is {metadata.get('format')!r}, "
            f"not {_FORMAT!r}); weights come from `magenet train` or `magenet models`"
        )
    try:
        config = MageNetConfig.model_validate_json(metadata["config"])
    except (ValidationError, KeyError) as error:
        raise WeightsError(f"{path} describes a network that this version cannot build: {error}") from error
    notes = json.loads(metadata.get("notes", "{}"))
    return WeightsInfo(metadata.get("name", path.stem), path, weights_hash(path), config, notes)


def load_weights(name_or_path: str) -> tuple[MageNet, WeightsInfo]:
    """Build the network that weights describe and fill it, in float32 and ready for inference.

    Raises:
        WeightsError: if the file is missing, damaged, or does not fit its own description.
    """
    info = read_info(name_or_path)
    network = MageNet(info.config)
    tensors = {}
    try:
        with safe_open(info.path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118: not a dict
                tensors[key] = file.get_tensor(key).float()
        network.load_state_dict(tensors)
    except (SafetensorError, RuntimeError, OSError) as error:
        first = str(error).strip().splitlines()
        raise WeightsError(f"{info.path} does not fit its network: {' '.join(first[:2])}") from error
    if not all(torch.isfinite(t).all() for t in tensors.values()):
        raise WeightsError(f"{info.path} holds values that are not finite: train or download it again")
    network.eval().requires_grad_(False)
    return network, info
