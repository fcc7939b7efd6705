"""The picture that shows a reviewer what enhancement changed."""

from __future__ import annotations

import cv2
import numpy as np

from magenet_batch.imaging.colour import resize_area, to_eight_bits
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.imaging.masked import masked_gaussian
from magenet_batch.quality.fidelity import RIM

_WIDTH = 560  # pixels of one of the four panels
_VESSEL = 0.5
_SLOW = 0.15  # of the field's radius: changes of light that are wider are left out
KEPT, NEW, LOST = (235, 235, 235), (255, 60, 60), (70, 140, 255)
"""Colours of vessels on both sides, only after, and only before."""


def draw_evidence(
    before: np.ndarray,
    after: np.ndarray,
    fov: FieldOfView,
    *,
    vessels_before: np.ndarray | None,
    vessels_after: np.ndarray | None,
) -> np.ndarray:
    """Four panels: original, enhanced; difference, vessels.

    The difference is that of lightness without the slow change that evening out the light makes,
    four times enlarged about middle grey: brighter is lighter than around it before. Vessels are
    white where they are on both sides, red where they are new, blue where they are lost.

    Args:
        before: (H, W, 3) RGB, uint8 or uint16.
        after: the same shape and type.
        fov: the field of view of both.
        vessels_before: (h, w) float32 probability of vessel, or None.
        vessels_after: the same of the enhanced image.

    Returns:
        (h, w, 3) uint8.
    """
    height = max(1, round(before.shape[0] * _WIDTH / before.shape[1]))
    old, new = (_small(pixels, height) for pixels in (before, after))
    panels = [old, new, _difference(old, new, fov)]
    if vessels_before is None or vessels_after is None:
        panels.append(np.zeros_like(old))
    else:
        inner = fov.without_rim(RIM).mask(height, _WIDTH)[..., None]
        panels.append(_vessels(vessels_before, vessels_after, inner))
    return np.vstack([np.hstack(panels[:2]), np.hstack(panels[2:])])


def _small(pixels: np.ndarray, height: int) -> np.ndarray:
    return to_eight_bits(resize_area(pixels, _WIDTH, height))


def _difference(old: np.ndarray, new: np.ndarray, fov: FieldOfView) -> np.ndarray:
    mask = fov.mask(*old.shape[:2])
    weight = mask.astype(np.float32)
    change = (new.astype(np.float32).mean(2) - old.astype(np.float32).mean(2)) * weight
    sigma = _SLOW * fov.radius * old.shape[1] / fov.width
    slow, _ = masked_gaussian(change, weight, sigma)
    detail = change - slow
    grey = np.clip(np.rint(128 + 4 * detail), 0, 255).astype(np.uint8)
    return np.where(mask, grey, 0).astype(np.uint8)[..., None].repeat(3, 2)


def _vessels(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """New and lost are what has nothing near on the other side; thicker or thinner is kept."""
    size = (mask.shape[1], mask.shape[0])
    old, new = (cv2.resize(v, size, interpolation=cv2.INTER_LINEAR) for v in (before, after))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    near_old, near_new = (cv2.dilate(v, disc) > _VESSEL / 2 for v in (old, new))
    sure_old, sure_new = old > _VESSEL, new > _VESSEL
    drawn = np.zeros((*mask.shape[:2], 3), np.uint8)
    drawn[sure_old | sure_new] = KEPT
    drawn[sure_new & ~near_old] = NEW
    drawn[sure_old & ~near_new] = LOST
    result: np.ndarray = (drawn * mask).astype(np.uint8)
    return result
