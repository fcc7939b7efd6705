"""Conversions of colour and size that the measures share."""

from __future__ import annotations

import cv2
import numpy as np


def to_float(pixels: np.ndarray) -> np.ndarray:
    """Convert (H, W, 3) integers to float32, 0..1."""
    result: np.ndarray = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return result


def to_eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Reduce (H, W, 3) uint16 to uint8; uint8 is returned as it is."""
    return pixels if pixels.dtype == np.uint8 else (pixels // 257).astype(np.uint8)


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of sRGB values.

    Args:
        rgb: (H, W, 3) float32, 0..1.

    Returns:
        (H, W, 3) float32: L* 0..100, a* and b* about -128..127.
    """
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)


def resize_area(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize by area averaging when shrinking, bilinearly when enlarging.

    Exact halves come first: they are several times faster than averaging over odd areas.
    """
    width, height = max(1, width), max(1, height)
    while pixels.shape[0] >= 4 * height and pixels.shape[1] >= 4 * width:
        even = pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2]
        half = (even.shape[1] // 2, even.shape[0] // 2)
        pixels = cv2.resize(even, half, interpolation=cv2.INTER_AREA)
    smaller = width * height < pixels.shape[0] * pixels.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(pixels, (width, height), interpolation=how)
