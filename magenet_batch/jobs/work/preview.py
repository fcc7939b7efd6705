"""Small pictures, for those who review what was withheld."""

from __future__ import annotations

import numpy as np
import simplejpeg

from magenet_batch.imaging.colour import to_eight_bits

LONGEST = 1280
"""Longest side of a preview, in pixels."""


def preview_of(pixels: np.ndarray) -> bytes:
    """A small JPEG of an image.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
    """
    scale = LONGEST / max(pixels.shape[:2])
    small = to_eight_bits(reduced(pixels, scale) if scale < 1 else pixels)
    content: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(small), quality=88)
    return content


def reduced(pixels: np.ndarray, scale: float) -> np.ndarray:
    """An image with both sides multiplied by a factor below 1, by the means of areas."""
    import cv2

    height, width = pixels.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
