"""The description that every kind of degradation provides, and helpers that several kinds share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as F

_FIELD_SIZE = 128  # smooth fields are computed on this many rows and then enlarged

Fields = TypeVar("Fields")

ANY = (-1e9, 1e9)
"""Limits of a number that only has to be finite."""
POSITIVE = (1e-9, 1e9)
NOT_NEGATIVE = (0.0, 1e9)
SHARE = (0.0, 1.0)


@dataclass(frozen=True)
class Kind(Generic[Fields]):
    """One kind of degradation.

    Attributes:
        name: the name used by presets, records and reports.
        place: position on the light path from the eye to the file; low numbers come first.
        present: tells whether some fields change anything.
        sample: draws fields for a severity of 0..1.
        apply: degrades (B, 3, H, W) by one set of fields per image; the last argument is the height
            in pixels that lengths are fractions of.
        losses: shares of the visible information that these fields remove, 0..1 each.
        limits: minimum and maximum of each number among the fields.
        camera: draws fields as cameras produce them; None to use `sample`.
        choices: valid values of each text field.
        decode: converts a field from its JSON value.
        clips: whether values are clipped to 0..1 here.
        whole: whether the kind needs the whole picture, because it has a position in it or depends
            on its mean.
    """

    name: str
    place: int
    present: Callable[[Fields], bool]
    sample: Callable[[np.random.Generator, float], Fields]
    apply: Callable[[torch.Tensor, Sequence[Fields], int], torch.Tensor]
    losses: Callable[[Fields], Sequence[float]]
    limits: Mapping[str, tuple[float, float]]
    camera: Callable[[np.random.Generator, float], Fields] | None = None
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    decode: Mapping[str, Callable[[Any], object]] = field(default_factory=dict)
    clips: bool = False
    whole: bool = True


def span(rng: np.random.Generator, severity: float, low: float, high: float) -> float:
    """Uniform between `low` and the point that lies `severity` of the way from `low` to `high`."""
    return float(low + (high - low) * severity * rng.uniform(0.35, 1.0))


def jittered(rng: np.random.Generator, colours: np.ndarray) -> tuple[float, float, float]:
    """Choose one of the colours and scale each channel a little: values 0..1."""
    colour = colours[rng.integers(len(colours))] * rng.uniform(0.85, 1.15, 3)
    red, green, blue = np.clip(colour, 0, 1).tolist()
    return red, green, blue


def column(
    params: Sequence[object], name: str, like: torch.Tensor, *, ndim: int = 4
) -> torch.Tensor:
    """Collect one field of all images into a tensor (B, 1, 1, 1), or (B, 3, 1, 1) for a colour."""
    values = torch.tensor([getattr(p, name) for p in params], dtype=torch.float32)
    return values.to(like.device).reshape(len(params), -1, *([1] * (ndim - 2)))


def smooth_field(
    x: torch.Tensor, of: Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]
) -> torch.Tensor:
    """Evaluate a smooth function of position on a coarse grid, and enlarge it.

    Args:
        x: images that set the size and the device.
        of: maps rows (1, 1, h, 1) and columns (1, 1, 1, w), as fractions of height and width, and
            the aspect ratio (width over height) to (B, 1, h, w).

    Returns:
        (B, 1, H, W).
    """
    height, width = x.shape[-2:]
    h = min(_FIELD_SIZE, height)
    w = max(1, round(h * width / height))
    rows = ((torch.arange(h, device=x.device) + 0.5) / h).view(1, 1, h, 1)
    columns = ((torch.arange(w, device=x.device) + 0.5) / w).view(1, 1, 1, w)
    coarse = of(rows, columns, width / height)
    return F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)


def distance(
    rows: torch.Tensor, columns: torch.Tensor, aspect: float, x: torch.Tensor, y: torch.Tensor
) -> torch.Tensor:
    """Distance from the centres (x, y), given as fractions, in fractions of the height."""
    dx, dy = (columns - x) * aspect, rows - y
    return torch.sqrt(dx.square() + dy.square() + 1e-12)
