"""Smoothing that uses only pixels inside a mask."""

from __future__ import annotations

import cv2
import numpy as np


def masked_gaussian(
    weighted: np.ndarray, weight: np.ndarray, sigma: float, *, least: float = 1e-3
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian mean inside a mask: normalised convolution (Knutsson and Westin, CVPR 1993).

    Args:
        weighted: values times `weight`, (h, w) or (h, w, c) float32.
        weight: weight of each pixel, 0 outside the mask, 0..1, (h, w) float32.
        sigma: standard deviation of the Gaussian, pixels.
        least: minimum total weight of a mean, so that means fade to 0 far outside.

    Returns:
        The mean, of the shape of `weighted`, and its total weight, (h, w).
    """
    total = cv2.GaussianBlur(weight, (0, 0), sigma)
    sums = cv2.GaussianBlur(weighted, (0, 0), sigma)
    divisor = np.maximum(total, least)
    return sums / (divisor if sums.ndim == 2 else divisor[..., None]), total
