"""What every kind of degradation says of itself, and what several of them compute."""

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
        name: as presets, records and reports call it.
        place: where it happens on the way from the eye to the file; small is early.
        present: whether these fields change anything.
        sample: draws fields for a severity of 0..1.
        apply: degrades (B, 3, H, W) by one set of fields per image; lengths are fractions of the
            height given last, in pixels.
        losses: shares of what can be seen that these fields take away, 0..1 each.
        limits: least and greatest value of every number among the fields.
        camera: draws fields as a camera makes them; None where `sample` does.
        choices: the values that each field with words can have.
        decode: how to make a field from what JSON has for it.
        clips: values beyond 0..1 are lost here.
        whole: needs the whole picture, because it has a place in it or depends on its mean.
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
    """Uniform between `low` and the share `severity` of the way from `low` to `high`."""
    return float(low + (high - low) * severity * rng.uniform(0.35, 1.0))


def jittered(rng: np.random.Generator, colours: np.ndarray) -> tuple[float, float, float]:
    """One of these colours, every channel scaled a little: values 0..1."""
    colour = colours[rng.integers(len(colours))] * rng.uniform(0.85, 1.15, 3)
    red, green, blue = np.clip(colour, 0, 1).tolist()
    return red, green, blue


def column(
    params: Sequence[object], name: str, like: torch.Tensor, *, ndim: int = 4
) -> torch.Tensor:
    """One field of all images as a tensor (B, 1, 1, 1), or (B, 3, 1, 1) for a colour."""
    values = torch.tensor([getattr(p, name) for p in params], dtype=torch.float32)
    return values.to(like.device).reshape(len(params), -1, *([1] * (ndim - 2)))


def smooth_field(
    x: torch.Tensor, of: Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]
) -> torch.Tensor:
    """Evaluate a slow function of position on a coarse grid and enlarge it.

    Args:
        x: images whose size and device count.
        of: from rows (1, 1, h, 1) and columns (1, 1, 1, w), as fractions of height and width, and
            width over height to (B, 1, h, w).

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
    """Distance from the centres (x, y), themselves fractions, in fractions of the height."""
    dx, dy = (columns - x) * aspect, rows - y
    return torch.sqrt(dx.square() + dy.square() + 1e-12)
