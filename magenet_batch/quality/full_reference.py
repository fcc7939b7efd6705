"""Metrics that need the clean image: per image, inside the field of view."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def psnr(
    *, preds: torch.Tensor, target: torch.Tensor, mask: torch.Tensor, data_range: float = 1.0
) -> torch.Tensor:
    """Peak signal-to-noise ratio.

    Args:
        preds: (B, C, H, W).
        target: the same shape.
        mask: (B, 1, H, W), 1 inside the field of view.
        data_range: largest minus smallest possible value.

    Returns:
        (B,) decibel; infinite where the images are equal.
    """
    inside = mask.expand_as(preds)
    error = ((preds - target).square() * inside).sum((1, 2, 3)) / inside.sum((1, 2, 3))
    return 10 * torch.log10(data_range**2 / error)


def ssim_map(*, preds: torch.Tensor, target: torch.Tensor, data_range: float = 1.0) -> torch.Tensor:
    """Structural similarity at every pixel (Wang et al., IEEE TIP 2004).

    Gaussian window of standard deviation 1.5 and 11 pixels, borders reflected.

    Args:
        preds: (B, C, H, W).
        target: the same shape.
        data_range: largest minus smallest possible value.

    Returns:
        (B, C, H, W), -1..1.
    """
    at = torch.arange(-5, 6, dtype=preds.dtype, device=preds.device)
    window = torch.exp(-at.square() / (2 * 1.5**2))
    window = window / window.sum()
    channels = preds.shape[1]

    def smooth(x: torch.Tensor) -> torch.Tensor:
        x = F.pad(x, (5, 5, 5, 5), mode="reflect")
        x = F.conv2d(x, window.view(1, 1, 11, 1).repeat(channels, 1, 1, 1), groups=channels)
        return F.conv2d(x, window.view(1, 1, 1, 11).repeat(channels, 1, 1, 1), groups=channels)

    mean_p, mean_t = smooth(preds), smooth(target)
    var_p = smooth(preds * preds) - mean_p * mean_p
    var_t = smooth(target * target) - mean_t * mean_t
    covariance = smooth(preds * target) - mean_p * mean_t
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    return ((2 * mean_p * mean_t + c1) * (2 * covariance + c2)) / (
        (mean_p.square() + mean_t.square() + c1) * (var_p + var_t + c2)
    )


def ssim(
    *, preds: torch.Tensor, target: torch.Tensor, mask: torch.Tensor, data_range: float = 1.0
) -> torch.Tensor:
    """Mean structural similarity over the field of view and the channels.

    Args:
        preds: (B, C, H, W).
        target: the same shape.
        mask: (B, 1, H, W), 1 inside the field of view.
        data_range: largest minus smallest possible value.

    Returns:
        (B,), -1..1.
    """
    similarity = ssim_map(preds=preds, target=target, data_range=data_range)
    inside = mask.expand_as(similarity)
    return (similarity * inside).sum((1, 2, 3)) / inside.sum((1, 2, 3))
