"""Dark and bright lines: the responses of elongated filters, which know a vessel from grain.

After Soares et al. (IEEE TMI 25(9), 2006): a line is what answers along its whole length.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from magenet_batch.imaging.colour import resize_area
from magenet_batch.imaging.masked import masked_gaussian

_SIGMA, _LENGTH = 1.2, 5.0  # of a line, pixels of a field of view 256 wide
_DIRECTIONS = 12
_LIGHT = 8.0  # standard deviation of the light about a line, pixels
_DARKEST = 0.02  # added to green before the logarithm: less is not told from black


class Lines(NamedTuple):
    """How strongly each place answers, at half of the measuring scale.

    Attributes:
        dark: (h, w) float32, of dark lines.
        bright: (h, w) float32, of bright lines.
        solid: (h, w) bool, whole pixels of the field of view.
    """

    dark: np.ndarray
    bright: np.ndarray
    solid: np.ndarray

    def inner(self, margin: int) -> np.ndarray:
        """(h, w) bool, what lies at least (margin - 1) / 2 pixels inside."""
        padded = cv2.copyMakeBorder(
            self.solid.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0
        )
        eroded: np.ndarray = cv2.erode(padded, np.ones((margin, margin), np.uint8))[1:-1, 1:-1] > 0
        return eroded


def find_lines(rgb: np.ndarray, mask: np.ndarray) -> Lines:
    """Filter the logarithm of green over its surroundings in every direction.

    Args:
        rgb: (h, w, 3) float32 in [0, 1], at the measuring scale.
        mask: (h, w) bool, where to look.
    """
    size = (max(1, mask.shape[1] // 2), max(1, mask.shape[0] // 2))
    inside = resize_area(mask.astype(np.float32), *size)
    green = resize_area(np.ascontiguousarray(rgb[..., 1]), *size)
    log_green = np.log(green + np.float32(_DARKEST))
    around, _ = masked_gaussian(log_green * inside, inside, _LIGHT)
    relative = np.where(inside > 0.5, log_green - around, 0).astype(np.float32)
    least = most = cv2.filter2D(relative, cv2.CV_32F, _bank()[0])
    for kernel in _bank()[1:]:
        answer = cv2.filter2D(relative, cv2.CV_32F, kernel)
        least, most = cv2.min(least, answer), cv2.max(most, answer)
    return Lines(-least, most, inside > 0.99)


@lru_cache(maxsize=1)
def _bank() -> list[np.ndarray]:
    """Kernels without mean, one for each direction; positive on bright lines."""
    reach = round(3 * _LENGTH)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    kernels = []
    for angle in np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS:
        along = columns * np.cos(angle) + rows * np.sin(angle)
        across = (rows * np.cos(angle) - columns * np.sin(angle)) / _SIGMA
        kernel = (1 - across**2) * np.exp(-(across**2 + (along / _LENGTH) ** 2) / 2)
        kernel -= kernel.mean()
        kernels.append((2 * kernel / np.abs(kernel).sum()).astype(np.float32))
    return kernels
