"""Pixels near the edge of the field of view: continue images outside it, and relight its rim."""

from __future__ import annotations

import cv2
import numpy as np

from magenet_batch.imaging.masked import masked_gaussian

_SMOOTH = 10.0  # standard deviation, pixels
_REDUCED = 4
_INNER = 25  # pixels; statistics are taken half as far inside
_SOFT_RIM = 5  # width in pixels of the outermost ring, which is mixed with the black border


def inner(mask: np.ndarray) -> np.ndarray:
    """Where statistics are taken: the mask without its rim, unless nothing would be left.

    Args:
        mask: (H, W) uint8, above 0 inside the field of view.

    Returns:
        (H, W) uint8.
    """
    eroded: np.ndarray = cv2.erode(mask, np.ones((_INNER, _INNER), np.uint8))
    return eroded if eroded.any() else mask


def continued(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Continue an image smoothly outside its field of view.

    Normalised convolution (Knutsson and Westin, CVPR 1993): a wide weighted mean of the pixels
    inside.

    Args:
        pixels: (H, W, 3) float32, 0..1.
        mask: (H, W), above 0 inside the field of view.

    Returns:
        (H, W, 3) float32; pixels inside are unchanged except in a thin rim.
    """
    inside = cv2.erode((mask > 0).astype(np.uint8), np.ones((_SOFT_RIM, _SOFT_RIM), np.uint8),
                       borderType=cv2.BORDER_REFLECT)  # fmt: skip
    if inside.all():
        return pixels
    height, width = mask.shape
    size = (max(1, width // _REDUCED), max(1, height // _REDUCED))
    weight = cv2.resize(inside.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    light = cv2.resize(cv2.copyTo(pixels, inside), size, interpolation=cv2.INTER_AREA)
    sigma = _SMOOTH / _REDUCED
    low = _spread(light, weight, sigma)
    outside = cv2.resize(low, (width, height), interpolation=cv2.INTER_LINEAR)
    result: np.ndarray = cv2.copyTo(pixels, inside, outside)
    return result


def _spread(light: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Weighted means, ever wider until every pixel has one; wider ones on ever smaller copies."""
    found = np.zeros_like(light)
    known = np.zeros(weight.shape, bool)
    size = weight.shape[::-1]
    while not known.all():
        mean, near = masked_gaussian(light, weight, sigma, least=1e-6)
        if near.shape != known.shape:
            mean, near = (cv2.resize(t, size, interpolation=cv2.INTER_LINEAR) for t in (mean, near))
        new = ~known & (near > 1e-2)
        found[new] = mean[new]
        known |= new
        if sigma > max(weight.shape):
            break
        half = tuple(-(-side // 2) for side in weight.shape[::-1])
        light, weight = (cv2.resize(t, half, interpolation=cv2.INTER_AREA) for t in (light, weight))
        sigma *= 3 / 2
    return found


_EDGE_WIDTH = 3.0  # width of the darkened rim, in standard deviations of the blur
_ARC = 1 / 32  # standard deviation of the arcs that are averaged, share of the height
_LEAST_BLUR, _LEAST_SHARE = (
    0.6,
    0.25,
)  # pixels; share of the full darkening


def relit_rim(pixels: np.ndarray, mask: np.ndarray, *, blur: float) -> np.ndarray:
    """Undo the darkening of the rim by a blur, which mixes the black border into it.

    A blurred picture of a disc on black is darker at the edge of the disc by w = mask * Gaussian,
    which is one half at the edge itself. How much of that an image shows is measured arc by arc, by
    comparing the rim with the continuation of what lies inside it. Many cameras cut the field of
    view after the blur, above and below for instance; there the measured darkening is zero.

    Args:
        pixels: (H, W, 3) float32, 0..1, black outside the field of view.
        mask: (H, W), above 0 inside the field of view.
        blur: standard deviation of the blur, pixels.

    Returns:
        (H, W, 3) float32; pixels farther inside are unchanged.
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
    """Weights of the restoration near the rim, where half of the neighbourhood is missing.

    Args:
        mask: (H, W), above 0 inside the field of view.
        blur: standard deviation of the blur, pixels.

    Returns:
        Two weights (H, W) float32, 0..1: of the light given back to the rim, 0 in its outermost
        pixel; and of restored detail, 0 within 1.5 standard deviations of the blur and 1 beyond
        3.5.
    """
    distance = cv2.distanceTransform((mask > 0).astype(np.uint8), cv2.DIST_L2, 5)
    wide = max(blur, _LEAST_BLUR)
    light = np.clip((distance - 1) / 1.5, 0, 1)
    detail = np.clip((distance - 1.5 * wide) / (2 * wide), 0, 1)
    return light.astype(np.float32), detail.astype(np.float32)
