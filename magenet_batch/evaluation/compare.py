"""PSNR and SSIM of a result against its clean image, inside the field of view."""

from __future__ import annotations

import numpy as np
import torch

from magenet_batch.evaluation.alignment import align_gains
from magenet_batch.evaluation.images import EvaluationImage
from magenet_batch.quality.full_reference import ms_ssim, psnr, ssim

BEST_PSNR = 60.0
"""PSNR in dB that stands for "equal"."""
_LEAST_SIDE = 176  # pixels, for the five scales of MS-SSIM


def compare(preds: np.ndarray, image: EvaluationImage) -> dict[str, float]:
    """Measure `psnr` (at most `BEST_PSNR`), `ssim` and, if the image is large enough, `ms_ssim`.

    Args:
        preds: (H, W, 3) RGB uint8.
        image: the clean image.
    """
    seen, target, mask = _tensors(preds, image)
    values = _scores(seen, target, mask)
    if min(preds.shape[:2]) >= _LEAST_SIDE:
        values["ms_ssim"] = float(ms_ssim(preds=seen, target=target, mask=mask))
    return values


def compare_aligned(preds: np.ndarray, image: EvaluationImage) -> dict[str, float]:
    """Measure `psnr` and `ssim`, and both as `_aligned` after aligning each channel's gain.

    Args:
        preds: (H, W, 3) RGB uint8.
        image: the clean image.
    """
    seen, target, mask = _tensors(preds, image)
    aligned = _scores(align_gains(preds=seen, target=target, mask=mask), target, mask)
    found = {f"{name}_aligned": value for name, value in aligned.items()}
    return _scores(seen, target, mask) | found


def _tensors(preds: np.ndarray, image: EvaluationImage) -> tuple[torch.Tensor, ...]:
    """The result, the clean image and its field of view, (1, C, H, W), 0..1."""
    seen, target = (
        torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        for pixels in (preds, image.pixels)
    )
    return seen, target, torch.from_numpy(image.mask)[None, None].float()


def _scores(seen: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> dict[str, float]:
    decibel = psnr(preds=seen, target=target, mask=mask).clamp(max=BEST_PSNR)
    return {
        "psnr": float(decibel), "ssim": float(ssim(preds=seen, target=target, mask=mask))
    }  # fmt: skip
