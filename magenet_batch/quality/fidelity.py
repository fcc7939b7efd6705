"""Fidelity: how far the enhanced image kept the anatomy of its original."""

from __future__ import annotations

import cv2
import numpy as np

from magenet_batch.imaging.colour import resize_area, to_float, to_lab
from magenet_batch.imaging.fov import FieldOfView

_SURE, _POSSIBLE = 0.5, 0.25  # a vessel is there; a vessel may be there
_NEAR = 3  # pixels of the vessel map within which two vessels are the same
_SCALE = 512  # longest side at which colours are compared


def measure_fidelity(
    before: np.ndarray,
    after: np.ndarray,
    fov: FieldOfView,
    *,
    vessels_before: np.ndarray,
    vessels_after: np.ndarray,
) -> dict[str, float | None]:
    """Hold an enhanced image against its original.

    Args:
        before: (H, W, 3) RGB, uint8 or uint16.
        after: the same shape and type.
        fov: the field of view of both.
        vessels_before: (h, w) float32 probability of vessel in the original, whole picture.
        vessels_after: the same of the enhanced image.

    Returns:
        The keys of `schema.FIDELITY_MEASURES`; None where there is no vessel to speak of.
    """
    mask = fov.mask(*vessels_before.shape)
    old, new = vessels_before * mask, vessels_after * mask
    return {
        "structure_agreement": soft_dice(old, new),
        "vessel_new": unmatched_length(new, old),
        "vessel_lost": unmatched_length(old, new),
        **_colour_changes(before, after, fov),
    }


def soft_dice(a: np.ndarray, b: np.ndarray) -> float | None:
    """2 sum(ab) / (sum(a^2) + sum(b^2)) of two maps (Milletari et al., 3DV 2016), 0..1."""
    total = float((a * a).sum() + (b * b).sum())
    return None if total < 1 else 2 * float((a * b).sum()) / total


def unmatched_length(a: np.ndarray, b: np.ndarray) -> float | None:
    """Share of the length of the vessels that are surely in `a` with none near that may be in `b`.

    The two thresholds keep a vessel that was faint and became clear from counting as new.
    """
    lines = skeleton(a > _SURE)
    length = int(lines.sum())
    if length < 20:
        return None
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _NEAR + 1, 2 * _NEAR + 1))
    near = cv2.dilate((b > _POSSIBLE).astype(np.uint8), kernel) > 0
    return float((lines & ~near).sum()) / length


def skeleton(shape: np.ndarray) -> np.ndarray:
    """The morphological skeleton (Lantuejoul 1978): what openings remove at each erosion.

    Args:
        shape: (h, w) bool.

    Returns:
        (h, w) bool.
    """
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    left = shape
    lines = np.zeros(shape.shape, bool)
    while left.any():
        smaller = cv2.erode(left.astype(np.uint8), cross, borderValue=0)
        lines |= left & (cv2.dilate(smaller, cross) == 0)
        left = smaller > 0
    return lines


def _colour_changes(
    before: np.ndarray, after: np.ndarray, fov: FieldOfView
) -> dict[str, float | None]:
    """Slow colour difference (CIE76 dE) and mean absolute change of values, 0..1."""
    height, width = before.shape[:2]
    scale = min(1.0, _SCALE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    old, new = (to_float(resize_area(x, *size)) for x in (before, after))
    mask = fov.mask(size[1], size[0])
    if not mask.any():
        return {"colour_shift": None, "change": None}
    weight = cv2.blur(mask.astype(np.float32), (33, 33))[..., None]

    def slow(rgb: np.ndarray) -> np.ndarray:
        return to_lab(cv2.blur(rgb * mask[..., None], (33, 33)) / np.maximum(weight, 1e-3))

    shift = np.linalg.norm(slow(new) - slow(old), axis=2)
    return {
        "colour_shift": float(shift[mask].mean()),
        "change": float(np.abs(new - old)[mask].mean()),
    }
