"""Degrade crops fast, for training: blur, noise and compression with OpenCV on one thread.

The formulas are those of `apply_degradation` with a height, which is the oracle. Results differ
only near the edge of a crop, where all blurs, including the Gaussian, mirror the image, and
Gaussian kernels are cut at four standard deviations.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
import torch

from magenet_batch.degradation.kinds.blur import (
    Blur,
    blur_kernel,
    box_taps,
    gaussian_taps,
)
from magenet_batch.degradation.kinds.jpeg import Jpeg, jpeg_file, jpeg_loss
from magenet_batch.degradation.kinds.noise import (
    PERIOD,
    REFERENCE_HEIGHT,
    Noise,
    bank_places,
    noise_bank,
    noise_taps,
)
from magenet_batch.degradation.params import DegradationParams

CROP_KINDS = ("blur", "noise", "jpeg")
"""Kinds of degradation that can be applied to crops here."""


def degrade_crop(pixels: np.ndarray, params: DegradationParams, *, height: int) -> np.ndarray:
    """Degrade a crop of a larger picture.

    Args:
        pixels: (h, w, 3) RGB, floating point, 0..1; not modified.
        params: parameters with blur, noise and JPEG of any shape and coder.
        height: height of the whole picture in pixels, which lengths are fractions of and on which
            the noise depends.

    Returns:
        (h, w, 3) float32, 0..1.

    Raises:
        ValueError: the pixels have another shape or dtype, or there is another kind of degradation.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not np.issubdtype(pixels.dtype, np.floating):
        raise ValueError(
            f"a crop must be (h, w, 3) in floating point, not {pixels.shape} {pixels.dtype}"
        )
    if height < 1:
        raise ValueError(
            f"height is {height}; it must be the height of the whole picture in pixels"
        )
    kinds = params.kinds()
    for kind in kinds:
        if kind not in CROP_KINDS:
            raise ValueError(
                f"degrade_crop does not support '{kind}', only {', '.join(CROP_KINDS)}: "
                "use apply_degradation on the whole picture"
            )
    x = pixels.astype(np.float32)
    if "blur" in kinds:
        x = np.clip(_blur(x, params, height), 0, 1)
    if "noise" in kinds:
        x = np.clip(_with_noise(x, params, height), 0, 1)
    if "jpeg" in kinds:
        x = _compressed(x, params)
    return x


def _blur(x: np.ndarray, p: Blur, height: int) -> np.ndarray:
    border = cv2.BORDER_REFLECT_101
    if p.blur_shape in ("gaussian", "box"):
        taps = (gaussian_taps if p.blur_shape == "gaussian" else box_taps)(p, height=height)
        return cv2.sepFilter2D(x, -1, taps, taps, borderType=border)
    return cv2.filter2D(x, -1, blur_kernel(p, height=height), borderType=border)


def _with_noise(x: np.ndarray, p: Noise, height: int) -> np.ndarray:
    taps, gain = noise_taps(p, height=height)
    margin = len(taps) // 2
    rows = bank_places(p.noise_seed, x.shape[0], margin)
    columns = bank_places(p.noise_seed // PERIOD, x.shape[1], margin)
    bank = _bank()
    noise = bank[rows[:, None], columns]
    own, common = noise[..., :3], noise[..., 3:]
    if p.noise_shared > 0:
        own = own * math.sqrt(1 - p.noise_shared) + common * math.sqrt(p.noise_shared)
    if margin:
        own = cv2.sepFilter2D(np.ascontiguousarray(own), -1, taps, taps)
        own = own[margin:-margin, margin:-margin] * np.float32(gain)
    deviation = np.sqrt(np.float32(p.noise_read**2) + np.float32(p.noise_shot) * x)
    result: np.ndarray = x + own * deviation * np.float32(height / REFERENCE_HEIGHT)
    return result


@lru_cache(maxsize=1)
def _bank() -> np.ndarray:
    """The shared noise of all devices, as (period, period, 4)."""
    return np.ascontiguousarray(noise_bank("cpu").permute(1, 2, 0).numpy())


def _compressed(x: np.ndarray, p: Jpeg) -> np.ndarray:
    if p.jpeg_coder != "dct":
        return jpeg_file(x, quality=p.jpeg_quality, coder=p.jpeg_coder)
    image = torch.from_numpy(x).permute(2, 0, 1)[None]
    return jpeg_loss(image, torch.tensor([p.jpeg_quality]))[0].permute(1, 2, 0).numpy()
