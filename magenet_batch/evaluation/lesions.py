"""Are lesions kept? Their contrast to what surrounds them."""

from __future__ import annotations

import cv2
import numpy as np

_GAP, _RING = 0.004, 0.016  # width of the gap and of the ring about a lesion, fractions of the FOV


def lesion_contrast(
    pixels: np.ndarray, lesion: np.ndarray, *, others: np.ndarray, fov_mask: np.ndarray
) -> float | None:
    """(lesion - ring) / ring in the green channel, where a ring surrounds every lesion (Weber).

    Args:
        pixels: (H, W, 3) RGB uint8.
        lesion: (H, W) bool, lesions of one kind.
        others: (H, W) bool, lesions of any kind, which are no background.
        fov_mask: (H, W) bool.

    Returns:
        Below 0 for dark lesions, above 0 for bright ones; None without lesion or ring.
    """
    diameter = 2 * np.sqrt(fov_mask.sum() / np.pi)
    taken = _grown(lesion | others, _GAP * diameter)
    ring = _grown(lesion, (_GAP + _RING) * diameter) & ~taken & fov_mask
    inside = lesion & fov_mask
    if not inside.any() or not ring.any():
        return None
    green = pixels[..., 1].astype(np.float32)
    around = float(green[ring].mean())
    return (float(green[inside].mean()) - around) / max(around, 1.0)


def _grown(shape: np.ndarray, by: float) -> np.ndarray:
    radius = max(1, round(by))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(shape.astype(np.uint8), disc) > 0
