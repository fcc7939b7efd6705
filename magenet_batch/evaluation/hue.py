"""Is the camera's colour kept? How far the slow colours moved."""

from __future__ import annotations

import numpy as np

from magenet_batch.imaging.colour import to_lab
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.imaging.masked import masked_gaussian
from magenet_batch.quality.measures import at_measuring_scale

_SIGMA = 8.0  # pixels of a field of view 512 wide: no vessel, no grain


def hue_shift(before: np.ndarray, after: np.ndarray, fov: FieldOfView) -> float | None:
    """Mean distance of slow colours in the a*b* plane of CIE L*a*b*: hue and chroma, no lightness.

    Both images are averaged in a Gaussian window of 8 pixels at the measuring scale, inside the
    field of view, and then compared position by position (CIE76 without its L* term).

    Args:
        before: (H, W, 3) RGB, uint8 or uint16.
        after: the same shape.
        fov: the field of view of both.

    Returns:
        dE, 0 where the colours are equal; None where the field of view is too small to tell.
    """
    old, mask = _slow(before, fov)
    new, _ = _slow(after, fov)
    if not mask.any():
        return None
    return float(np.linalg.norm((new - old)[mask][:, 1:], axis=1).mean())


def _slow(pixels: np.ndarray, fov: FieldOfView) -> tuple[np.ndarray, np.ndarray]:
    rgb, mask = at_measuring_scale(pixels, fov)
    weight = mask.astype(np.float32)
    slow, _ = masked_gaussian(rgb * weight[..., None], weight, _SIGMA)
    return to_lab(slow), mask
