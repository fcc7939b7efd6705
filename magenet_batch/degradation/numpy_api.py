"""Degrade a single image: arrays in, arrays out."""

from __future__ import annotations

import numpy as np
import torch

from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.degradation.params import DegradationParams


def degrade_pixels(
    pixels: np.ndarray, params: DegradationParams, *, mask: np.ndarray
) -> np.ndarray:
    """Degrade one image.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        params: parameters of the degradation.
        mask: (H, W) bool, the field of view.

    Returns:
        An image of the same shape and dtype.
    """
    full = np.iinfo(pixels.dtype).max
    clean = torch.from_numpy(pixels.astype(np.float32) / full).permute(2, 0, 1)[None]
    mask_B1HW = torch.from_numpy(mask.astype(np.float32))[None, None]
    degraded = apply_degradation(clean, [params], mask_B1HW=mask_B1HW)[0].permute(1, 2, 0)
    result: np.ndarray = np.rint(degraded.numpy() * full).astype(pixels.dtype)
    return result
