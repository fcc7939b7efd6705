"""What lies outside the field of view, so that its edge is no edge: what is smooth inside."""

from __future__ import annotations

import cv2
import numpy as np

from magenet_batch.imaging.masked import masked_gaussian

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
        mean, near = masked_gaussian(light, weight, sigma, least=1e-6)
        new = ~known & (near > 1e-2)
        found[new] = mean[new]
        known |= new
        if sigma > max(weight.shape):
            break
        sigma *= 3
    return found


_EDGE_WIDTH = 3.0  # standard deviations of a blur that darken the rim
_ARC = 1 / 32  # standard deviation of the arcs over which this is measured, share of the height
_LEAST_BLUR, _LEAST_SHARE = 0.6, 0.25  # pixels; share of the full darkening that is believed


def relit_rim(pixels: np.ndarray, mask: np.ndarray, *, blur: float) -> np.ndarray:
    """Undo what a blur does to the rim: it mixes the border's black into it.

    A blurred picture of a disc on black is darker at the disc's edge by w = mask * Gaussian, which
    is a half at the edge itself. How much of that an image shows (nothing where the camera cuts
    the field of view after the blur, as above and below in many) is measured, arc by arc: the rim
    is held against what lies inside it, continued outwards.

    Args:
        pixels: (H, W, 3) float32, 0..1, black outside the field of view.
        mask: (H, W), above 0 inside the field of view.
        blur: standard deviation of the blur, pixels.

    Returns:
        (H, W, 3) float32, the same pixels further inside.
    """
    if blur < _LEAST_BLUR:
        return pixels
    inside = (mask > 0).astype(np.float32)
    share = cv2.GaussianBlur(inside, (0, 0), blur, borderType=cv2.BORDER_REPLICATE)
    size = 2 * round(_EDGE_WIDTH * blur) + 1
    inner = cv2.erode(inside, np.ones((size, size), np.uint8), borderType=cv2.BORDER_REPLICATE)
    rim = (inside > 0) & (inner == 0)
    if not inner.any() or not rim.any():
        return pixels
    expected = continued(pixels, inner).mean(2)
    missing = (1 - share) * rim
    dark = 1 - pixels.mean(2) / np.maximum(expected, 1e-3)
    along = len(mask) * _ARC
    both, full = (cv2.GaussianBlur(t, (0, 0), along) for t in (dark * missing, missing**2))
    shown = np.clip(both / np.maximum(full, 1e-9), 0, 1)
    factor = 1 / (1 - np.where(shown < _LEAST_SHARE, 0, shown) * missing)
    if factor.max() == 1:
        return pixels
    result: np.ndarray = np.clip(pixels * factor[..., None], 0, 1).astype(np.float32)
    return result


def trusted(mask: np.ndarray, *, blur: float) -> tuple[np.ndarray, np.ndarray]:
    """How far what was undone counts near the rim, where half of what is needed is not there.

    Args:
        mask: (H, W), above 0 inside the field of view.
        blur: standard deviation of the blur, pixels.

    Returns:
        Two weights (H, W) float32, 0..1: of light given back to the rim, 0 in its outermost pixel,
        and of restored detail, 0 within 1.5 standard deviations of the blur and 1 from 3.5 on.
    """
    distance = cv2.distanceTransform((mask > 0).astype(np.uint8), cv2.DIST_L2, 5)
    wide = max(blur, _LEAST_BLUR)
    light = np.clip((distance - 1) / 1.5, 0, 1)
    detail = np.clip((distance - 1.5 * wide) / (2 * wide), 0, 1)
    return light.astype(np.float32), detail.astype(np.float32)
