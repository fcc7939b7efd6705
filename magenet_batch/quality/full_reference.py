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
    """Structural similarity at every pixel, -1..1; see `similarity_maps`."""
    light, contrast = similarity_maps(preds=preds, target=target, data_range=data_range)
    return light * contrast


def similarity_maps(
    *, preds: torch.Tensor, target: torch.Tensor, data_range: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """The two factors of structural similarity at every pixel (Wang et al., IEEE TIP 2004).

    Gaussian window of standard deviation 1.5 and 11 pixels, borders reflected.

    Args:
        preds: (B, C, H, W).
        target: the same shape.
        data_range: largest minus smallest possible value.

    Returns:
        Similarity of light, 0..1, and of contrast and structure, -1..1; each (B, C, H, W).
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
    light = (2 * mean_p * mean_t + c1) / (mean_p.square() + mean_t.square() + c1)
    return light, (2 * covariance + c2) / (var_p + var_t + c2)


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


_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ms_ssim(
    *, preds: torch.Tensor, target: torch.Tensor, mask: torch.Tensor, data_range: float = 1.0
) -> torch.Tensor:
    """Multi-scale structural similarity (Wang, Simoncelli and Bovik, Asilomar 2003).

    Five scales, each half the size of the one before; means are taken inside the field of view.

    Args:
        preds: (B, C, H, W), sides of at least 176 pixels.
        target: the same shape.
        mask: (B, 1, H, W), 1 inside the field of view.
        data_range: largest minus smallest possible value.

    Returns:
        (B,), 0..1; negative similarities of a scale count as 0.
    """
    result = torch.ones(len(preds), dtype=preds.dtype, device=preds.device)
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        light, contrast = similarity_maps(preds=preds, target=target, data_range=data_range)
        last = scale == len(_SCALE_WEIGHTS) - 1
        seen = light * contrast if last else contrast
        inside = (mask > 0.99).to(seen.dtype).expand_as(seen)
        mean = (seen * inside).sum((1, 2, 3)) / inside.sum((1, 2, 3)).clamp_min(1)
        result = result * mean.clamp_min(0) ** weight
        if not last:
            preds, target, mask = (F.avg_pool2d(x, 2) for x in (preds, target, mask))
    return result
