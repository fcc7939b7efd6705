"""Geometry: the square around the field of view, and the tiles that cover it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.models.affine import Window
from magenet_batch.models.magenet import ALIGNMENT, TILE_ALIGNMENT

_MARGIN = 1.02  # the square around the field of view, as in training


@dataclass(frozen=True)
class Square:
    """The square around the field of view; it can extend beyond the picture.

    Attributes:
        top: first row of the square in the picture; can be negative.
        left: first column; can be negative.
        side: side in pixels, a multiple of 8.
    """

    top: int
    left: int
    side: int

    @classmethod
    def around(cls, fov: FieldOfView) -> Square:
        """The square around a field of view."""
        side = max(round(2 * fov.radius * _MARGIN), 2 * ALIGNMENT)
        side = _up(side)
        return cls(round(fov.y - side / 2), round(fov.x - side / 2), side)

    def whole(self) -> Window:
        """The whole square, in its own pixels."""
        return Window.whole(self.side, self.side)

    def overlap(self, window: Window, height: int, width: int) -> tuple[slice, slice, slice, slice]:
        """Rows and columns where a window overlaps the picture: of the picture, of the window."""
        y0, y1 = max(self.top + window.top, 0), min(self.top + window.bottom, height)
        x0, x1 = max(self.left + window.left, 0), min(self.left + window.right, width)
        y1, x1 = max(y0, y1), max(x0, x1)
        dy, dx = self.top + window.top, self.left + window.left
        return slice(y0, y1), slice(x0, x1), slice(y0 - dy, y1 - dy), slice(x0 - dx, x1 - dx)

    def widened(self, window: Window, halo: int) -> Window:
        """Extend a window by a halo on each side, as far as the square reaches."""
        return Window(
            max(window.top - halo, 0), min(window.bottom + halo, self.side),
            max(window.left - halo, 0), min(window.right + halo, self.side),
        )  # fmt: skip

    def tiles(self, mask: np.ndarray, *, largest: int) -> Iterator[Window]:
        """Cover the field of view with few tiles of about equal size.

        The rows of the field of view are cut into bands, and each band into tiles that span the
        width of the field of view in that band.

        Args:
            mask: (H, W) bool, the field of view in the picture.
            largest: longest side of a tile, pixels, a multiple of 8.
        """
        lit = np.zeros((self.side, self.side), bool)
        rows, columns, to_rows, to_columns = self.overlap(self.whole(), *mask.shape)
        lit[to_rows, to_columns] = mask[rows, columns]
        for top, bottom in _cuts(lit.any(1), largest):
            for left, right in _cuts(lit[top:bottom].any(0), largest):
                yield Window(top, bottom, left, right)


def _cuts(lit: Any, largest: int) -> Iterator[tuple[int, int]]:
    """Divide the range from the first to the last lit position evenly, edges on multiples of 8."""
    found = np.flatnonzero(lit)
    if not len(found):
        return
    start = int(found[0]) // TILE_ALIGNMENT * TILE_ALIGNMENT
    stop = _up(int(found[-1]) + 1)
    step = _up(-(-(stop - start) // -(-(stop - start) // largest)))
    for first in range(start, stop, step):
        yield first, min(first + step, stop)


def _up(length: int) -> int:
    """Round up to a multiple of the tiles' alignment."""
    return -(-length // TILE_ALIGNMENT) * TILE_ALIGNMENT
