"""Is there a line along the rim of the field of view? A seam, a grey crescent, an edge left out.

What follows the rim is told from anatomy by where it is: the field of view is cut into cells, each
a sector of 10 degrees and a ring of 0.01 radii, counted from the edge inwards, and the mean colour
of cells is followed across the rim.
"""

from __future__ import annotations

import cv2
import numpy as np

from magenet_batch.imaging.colour import resize_area, to_float, to_lab
from magenet_batch.imaging.fov import FieldOfView

_DIAMETER = 720  # pixels of the field of view at which it is measured
_OUTSIDE = 0.004  # radii at the edge that are left out: pixels of border are mixed in there
_RING, _RINGS = 0.01, 15  # width of a ring, radii, and their number
_SECTORS = 36
_LEAST_PIXELS = 20  # in a cell
_LEAST_SECTORS = 9  # in which a rim can be followed
_SHARE = 90  # percentile over the sectors: a line has some length, a vessel crosses one


def rim_line(pixels: np.ndarray, fov: FieldOfView) -> float | None:
    """How far the colour of an image jumps within its rim.

    For the mean colour c(s) in CIE L*a*b* of the cells of a sector, s rings from the edge:
    max over s of |c(s - 1) - 2 c(s) + c(s + 1)|, and of the sectors the 90th percentile. A slope
    gives 0, a step of A gives A, and a line of A that is one ring wide gives 2 A.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        fov: its field of view.

    Returns:
        In units of L*a*b*, of which one can just be seen; None where there is no rim to follow.
    """
    return _most(_cells(pixels, fov))


def rim_seam(before: np.ndarray, after: np.ndarray, fov: FieldOfView) -> float | None:
    """The same of the change that an image went through: what the enhancement itself drew.

    Args:
        before: (H, W, 3) RGB, uint8 or uint16.
        after: the same shape and type.
        fov: the field of view of both.

    Returns:
        0 where nothing was done; None where there is no rim to follow.
    """
    return _most(_cells(after, fov) - _cells(before, fov))


def rim_reached(before: np.ndarray, after: np.ndarray, fov: FieldOfView) -> float | None:
    """How much of a change arrives at the edge: in the outermost ring, over that further in.

    Args:
        before: (H, W, 3) RGB, uint8 or uint16.
        after: the same shape and type.
        fov: the field of view of both.

    Returns:
        About 1 where the whole field of view was worked on, 0 where its edge was left out; None
        where there is no rim, or nothing was done.
    """
    change = np.linalg.norm(_cells(after, fov) - _cells(before, fov), axis=2)
    known = np.isfinite(change).all(axis=1)
    if known.sum() < _LEAST_SECTORS:
        return None
    within = float(np.median(change[known, 3:8]))
    return float(np.median(change[known, 0])) / within if within > 0.5 else None


def _cells(pixels: np.ndarray, fov: FieldOfView) -> np.ndarray:
    """Mean colour of each cell, (sectors, rings, 3); NaN where there are too few pixels."""
    scale = min(1.0, _DIAMETER / (2 * fov.radius))
    height, width = (max(8, round(side * scale)) for side in pixels.shape[:2])
    lab = to_lab(to_float(resize_area(pixels, width, height)))
    mask = fov.mask(height, width).astype(np.uint8)
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    away = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    ring = np.floor((away / (fov.radius * scale) - _OUTSIDE) / _RING).astype(int)
    inside = (mask > 0) & (ring >= 0) & (ring < _RINGS)
    rows, columns = np.nonzero(inside)
    angle = np.arctan2(rows + 0.5 - fov.y * scale, columns + 0.5 - fov.x * scale)
    sector = np.floor((angle / (2 * np.pi) + 0.5) * _SECTORS).astype(int) % _SECTORS
    cell = sector * _RINGS + ring[inside]
    count = np.bincount(cell, minlength=_SECTORS * _RINGS).astype(np.float64)
    sums = [np.bincount(cell, lab[inside, c], _SECTORS * _RINGS) for c in range(3)]
    count[count < _LEAST_PIXELS] = np.nan
    return np.stack([total / count for total in sums], 1).reshape(_SECTORS, _RINGS, 3)


def _most(cells: np.ndarray) -> float | None:
    bend = cells[:, :-2] - 2 * cells[:, 1:-1] + cells[:, 2:]
    sizes = np.linalg.norm(bend, axis=2)
    known = np.isfinite(sizes).all(axis=1)
    if known.sum() < _LEAST_SECTORS:
        return None
    return float(np.percentile(sizes[known].max(axis=1), _SHARE))
