"""Where the soft edge of a field of view is border already, and is to stay as it was."""

from __future__ import annotations

import cv2
import numpy as np

from magenet_batch.imaging.fov import FieldOfView, analysis_scale, brightest
from magenet_batch.imaging.masked import masked_gaussian

_BESIDE = (1.5, 0.03)  # where the border is measured: pixels of the copy, radii outside the edge
_WITHIN = (0.04, 0.08)  # where the field of view is measured, radii inside the edge
_SPREAD = 0.04  # standard deviation of the means along the edge, radii
_RIM = (0.03, 0.05)  # width of the rim that may be border, and at which that ends, radii
_BLACK = (8 / 255, 16 / 255)  # levels up to which a border is black, and from which it is not
_LIKE = (0.5, 0.7)  # border over field of view: up to which they differ, from which they are alike
_COVERED = (0.1, 0.5)  # share of the way from border to field: up to which it is border, and not
_AWAY = 9  # side of the square by which a field of view is grown, pixels of the analysis copy
_LEAST_BORDER = 0.02  # share of the picture that the border must cover


def covered_part(small: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """How much of each pixel of an analysis copy is field of view.

    Args:
        small: analysis copy of the picture (`imaging.fov.analysis_copy`), (h, w, 3).
        mask: (H, W) bool, the field of view with notches.

    Returns:
        (h, w) uint8, 255 inside.
    """
    height, width = small.shape[:2]
    whole = mask.view(np.uint8) * 255
    part: np.ndarray = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    return part


def border_level(small: np.ndarray, covered: np.ndarray) -> float:
    """Level of the border around a field of view: about 0 from a camera, more from scanned film.

    Args:
        small: analysis copy of the picture (`imaging.fov.analysis_copy`), (h, w, 3).
        covered: (h, w) uint8, the part of each pixel that is field of view, from `covered_part`.

    Returns:
        Median of the brightest channel away from the field of view, 0..1; 0 where less than a
        fiftieth of the picture lies there.
    """
    away = cv2.dilate(covered, np.ones((_AWAY, _AWAY), np.uint8)) == 0
    if away.mean() < _LEAST_BORDER:
        return 0.0
    return float(np.median(brightest(small)[away])) / 255


def edge_levels(small: np.ndarray, covered: np.ndarray, fov: FieldOfView) -> np.ndarray | None:
    """Levels on both sides of the edge of a field of view whose border is not black.

    Film has a base, and light leaks. Where the field of view that was found reaches over its soft
    edge, subtracting a veil would draw a line there that is blacker than the border beside it.
    Beside a black border no such line can be seen.

    Args:
        small: analysis copy of the picture (`imaging.fov.analysis_copy`), (h, w, 3).
        covered: (h, w) uint8, the part of each pixel that is enhanced, from `covered_part`.
        fov: its field of view.

    Returns:
        (h, w, 3) float32, the whole picture at a reduced size: level of the border, level of the
        field of view, both 0..1, and how far the place may be border, 0..1; None where the border
        is black, or there is none.
    """
    radius = fov.radius * analysis_scale(fov)
    inside = (covered > 127).astype(np.uint8)
    light = brightest(small) / np.float32(255)
    if light[inside == 0].max(initial=0.0) <= _BLACK[0]:
        return None
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    beside = (away >= _BESIDE[0]) & (away <= _BESIDE[1] * radius)
    if light[beside].max(initial=0.0) <= _BLACK[0]:
        return None
    deep = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    within = (deep >= _WITHIN[0] * radius) & (deep <= _WITHIN[1] * radius)
    if not within.any():
        return None
    border, field = (
        masked_gaussian(light * weight, weight, _SPREAD * radius, least=1e-4)[0]
        for weight in (beside.astype(np.float32), within.astype(np.float32))
    )
    share = _rising(border, _BLACK) * (1 - _rising(border / np.maximum(field, 1e-3), _LIKE))
    share *= 1 - _rising(deep / radius, _RIM)
    return np.dstack([border, field, share]).astype(np.float32) if share.any() else None


def border_share(
    light: np.ndarray, levels: np.ndarray, rows: slice, columns: slice, shape: tuple[int, int]
) -> np.ndarray:
    """How far pixels are border, and no field of view.

    Args:
        light: (h, w) float32, 0..1, the brightest channel of some rows and columns of a picture.
        levels: of the whole picture, from `edge_levels`.
        rows: which rows these are.
        columns: which columns.
        shape: height and width of the whole picture.

    Returns:
        (h, w) float32, 0..1.
    """
    sy, sx = levels.shape[0] / shape[0], levels.shape[1] / shape[1]
    # From pixel centre to pixel centre: (i + 0.5) s - 0.5.
    matrix = np.array(
        [[sx, 0, (columns.start + 0.5) * sx - 0.5], [0, sy, (rows.start + 0.5) * sy - 0.5]]
    )
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border, field, share = cv2.split(
        cv2.warpAffine(
            levels, matrix, light.shape[::-1], flags=how, borderMode=cv2.BORDER_REPLICATE
        )
    )
    covered = (light - border) / np.maximum(field - border, 1e-3)
    result: np.ndarray = share * (1 - _rising(covered, _COVERED))
    return result


def _rising(x: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """From 0 at the first end to 1 at the second."""
    return np.clip((x - ends[0]) / (ends[1] - ends[0]), 0, 1)
