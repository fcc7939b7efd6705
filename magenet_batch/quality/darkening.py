"""Has a part of the field of view gone dark? Light that was taken away, in places hard to see."""

from __future__ import annotations

import cv2
import numpy as np

from magenet_batch.imaging.colour import resize_area
from magenet_batch.quality.measures import MeasuringCopy

_CELL = 16  # side in pixels of the places that are compared: a thirty-second of the field of view
_MOSTLY = 0.5  # share of a cell that must be inside
_LEFT = 0.7  # of its luma, below which a place has gone darker
_DARK = 0.15  # luma below which vessels are hard to see


def darkened_share(before: MeasuringCopy, after: MeasuringCopy) -> float | None:
    """Share of the field of view that lost over 30 % of its luma and ends below 0.15.

    Removing a veil darkens a photograph all over and leaves it well lit; where a shadow is taken
    for a veil, the shadow becomes black. Luma (ITU-R BT.601) is compared as a mean over cells of a
    thirty-second of the field of view, so that vessels and spots do not count.

    Args:
        before: the original.
        after: the enhanced image, of the same shape.

    Returns:
        0..1; None where the field of view is too small to tell.
    """
    size = tuple(max(1, side // _CELL) for side in before.mask.shape[::-1])
    inside = resize_area(before.mask.astype(np.float32), *size)
    cells = inside > _MOSTLY
    if not cells.any():
        return None
    old, new = (
        resize_area(_luma(copy.rgb) * before.mask, *size)[cells] / inside[cells]
        for copy in (before, after)
    )
    return float(((new < _LEFT * old) & (new < _DARK)).mean())


def _luma(rgb: np.ndarray) -> np.ndarray:
    luma: np.ndarray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return luma
