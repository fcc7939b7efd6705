"""The catalog: find and describe weights files without torch, so that commands start fast."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from magenet_batch.errors import WeightsError, nearest

SHIPPED = Path(__file__).parent / "shipped"
FORMAT = "magenet-1"
_LONGEST_NAME = 80


@dataclass(frozen=True)
class WeightsFile:
    """The metadata of a weights file.

    Attributes:
        name: name of the weights, for people.
        path: path of the file.
        hash: first 16 hexadecimal digits of the SHA-256 of the file; rows record it.
        config: configuration of the network, as JSON.
        notes: notes written when the weights were saved: data, steps, measures.
    """

    name: str
    path: Path
    hash: str
    config: str
    notes: dict[str, str]


def shipped_names() -> list[str]:
    """Names of the weights in the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def find_weights(name_or_path: str) -> Path:
    """Path of shipped weights, or of a file that the user names.

    Raises:
        WeightsError: there is neither.
    """
    for path in (SHIPPED / f"{name_or_path}.safetensors", Path(name_or_path).absolute()):
        if path.is_file():
            return path
    if Path(name_or_path).is_dir():
        raise WeightsError(f"{name_or_path} is a folder; give the .safetensors file in it")
    raise WeightsError(
        f"no weights '{name_or_path}', neither in the package nor as a file: "
        + nearest(name_or_path, shipped_names() or ["(none shipped)"])
    )


def read_weights_file(name_or_path: str) -> WeightsFile:
    """Read the metadata of weights without loading the tensors.

    Raises:
        WeightsError: the file is missing or was not written by magenet.
    """
    path = find_weights(name_or_path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise WeightsError(_not_safetensors(path, error)) from error
    if "progress" in metadata:
        raise WeightsError(
            f"{path} is a training checkpoint; the weights are next to it, "
            "in the file named after the run"
        )
    if metadata.get("format") != FORMAT or "config" not in metadata:
        raise WeightsError(
            f"{path} holds no magenet weights (its format is {metadata.get('format')!r}, "
            f"not {FORMAT!r}); weights come from `magenet train` or `magenet models`"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    name = _printable(metadata.get("name", path.stem))
    return WeightsFile(name, path, digest, metadata["config"], _notes(metadata, path))


def _not_safetensors(path: Path, error: Exception) -> str:
    """Describe what a file is instead of safetensors, as far as its first bytes tell."""
    try:
        with path.open("rb") as file:
            begin = file.read(9)
    except OSError:
        begin = b""
    header = (
        begin[8:] == b"{"
    )  # of the safetensors header, preceded by its length, which can start with any byte
    if begin[:4] == b"PK\x03\x04" or (begin[:1] == b"\x80" and not header):
        return (
            f"{path} looks like a PyTorch pickle, which can run code when loaded; only "
            "safetensors are read: train with `magenet train`, or save it as safetensors"
        )
    if not begin:
        return f"{path} is empty: copy or train the weights again"
    return f"{path} is not a complete safetensors file ({error}): copy or train the weights again"


def _printable(name: str) -> str:
    """A name that is safe in a terminal, a row and a tag."""
    return "".join(c if c.isprintable() else " " for c in name)[:_LONGEST_NAME]


def _notes(metadata: dict[str, str], path: Path) -> dict[str, str]:
    try:
        notes = json.loads(metadata.get("notes", "{}"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} has damaged notes: {error}") from error
    if not isinstance(notes, dict):
        raise WeightsError(f"{path} has damaged notes: they are not a table")
    return {str(key): str(value) for key, value in notes.items()}
