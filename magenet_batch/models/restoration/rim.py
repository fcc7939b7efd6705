"""What lies outside the field of view, so that its edge is no edge: what is smooth inside."""

from __future__ import annotations

import cv2
import numpy as np

_SMOOTH = 10.0  # pixels, standard deviation
_REDUCED = 4
_SOFT_RIM = 5  # pixels across: the outermost are mixed with the border's black


def continued(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Continue an image smoothly outside its field of view.

    Normalised convolution (Knutsson and Westin, CVPR 1993): a wide mean of what is inside.

    Args:
        pixels: (H, W, 3) float32, 0..1.
        mask: (H, W), above 0 inside the field of view.

    Returns:
        (H, W, 3) float32; the same pixels inside but for a thin rim.
    """
    inside = cv2.erode((mask > 0).astype(np.uint8), np.ones((_SOFT_RIM, _SOFT_RIM), np.uint8),
                       borderType=cv2.BORDER_REFLECT)  # fmt: skip
    if inside.all():
        return pixels
    height, width = mask.shape
    size = (max(1, width // _REDUCED), max(1, height // _REDUCED))
    weight = cv2.resize(inside.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    light = cv2.resize(pixels * inside[..., None], size, interpolation=cv2.INTER_AREA)
    sigma = _SMOOTH / _REDUCED
    low = _spread(light, weight, sigma)
    outside = cv2.resize(low, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where(inside[..., None] > 0, pixels, outside).astype(np.float32)


def _spread(light: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Weighted means, ever wider until there is one everywhere."""
    found = np.zeros_like(light)
    known = np.zeros(weight.shape, bool)
    while not known.all():
        near = cv2.GaussianBlur(weight, (0, 0), sigma)
        mean = cv2.GaussianBlur(light, (0, 0), sigma) / np.maximum(near, 1e-6)[..., None]
        new = ~known & (near > 1e-2)
        found[new] = mean[new]
        known |= new
        if sigma > max(weight.shape):
            break
        sigma *= 3
    return found
