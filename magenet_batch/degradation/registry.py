"""The list of kinds of degradation: a new kind is a file in `kinds/` and a line in `AllFields`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from magenet_batch.degradation.kinds import (
    blur,
    colour,
    gradient,
    halo,
    haze,
    hole,
    jpeg,
    noise,
    scatter,
    spots,
    yellow,
)
from magenet_batch.degradation.kinds.base import Kind
from magenet_batch.errors import UsageError, nearest


@dataclass(frozen=True, kw_only=True)
class AllFields(
    colour.Colour,
    gradient.Gradient,
    halo.Halo,
    hole.Hole,
    blur.Blur,
    spots.Spots,
    haze.Haze,
    yellow.Yellow,
    noise.Noise,
    jpeg.Jpeg,
    scatter.Scatter,
):
    """The fields of every kind, in the order in which kinds are drawn and reported."""


REGISTRY: tuple[Kind[Any], ...] = tuple(
    sys.modules[fields.__module__].KIND for fields in AllFields.__bases__
)
"""Every kind, in the order of `AllFields`."""

KINDS: tuple[str, ...] = tuple(kind.name for kind in REGISTRY)
"""Names of the kinds, in the same order."""

WAY_OF_LIGHT: tuple[Kind[Any], ...] = tuple(sorted(REGISTRY, key=lambda kind: kind.place))
"""Every kind, in the order of the light path from the eye to the file."""

_BY_NAME = dict(zip(KINDS, REGISTRY, strict=True))
assert len(_BY_NAME) == len({kind.place for kind in REGISTRY}) == len(REGISTRY)


def kind_called(name: str) -> Kind[Any]:
    """The kind of this name.

    Raises:
        UsageError: there is no such kind.
    """
    if name not in _BY_NAME:
        raise UsageError(f"No degradation is named '{name}': {nearest(name, KINDS)}.")
    return _BY_NAME[name]
