"""Comparing apart from the tone of the whole image, which nobody can know of an unknown camera."""

from __future__ import annotations

import torch


def align_gains(*, preds: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Scale each channel by the one gain that brings it nearest to the target.

    The least-squares solution of target = g * preds inside the mask, per image and channel:
    g = sum(preds * target) / sum(preds^2). Values are not clipped.

    Args:
        preds: (B, C, H, W).
        target: the same shape.
        mask: (B, 1, H, W), 1 inside the field of view.

    Returns:
        (B, C, H, W); a channel that is black stays black.
    """
    power = (preds.square() * mask).sum((2, 3), keepdim=True)
    both = (preds * target * mask).sum((2, 3), keepdim=True)
    return preds * torch.where(power > 0, both / power.clamp_min(1e-12), 1.0)
