"""Exposure: an image whose veil was removed is not left in the dark."""

from __future__ import annotations

import torch

from magenet_batch.models.restoration.fields import Fields, luma_of, planes

_MOST_LOST = 0.3  # of the logarithm of the mean luma: a quarter of it


def exposed(fields: Fields, x_B3SS: torch.Tensor, mask_B1SS: torch.Tensor) -> Fields:
    """Raise the tone of images that would lose more than a quarter of their mean luma.

    A veil is bright, and without it an image is darker; a camera would have exposed the clear eye
    as it exposed the veiled one. One gain for all channels changes neither hue nor relative
    contrast. Images that keep three quarters of their mean luma stay as they are.

    Args:
        fields: light of whole images, whose beliefs are not applied yet.
        x_B3SS: the images, RGB, 0..1, black outside the field of view.
        mask_B1SS: field of view, 0..1.

    Returns:
        The fields with a higher tone, believed or not.
    """
    restored = planes(fields.believed()).resized(x_B3SS.shape[-1]).apply(x_B3SS)
    before, after = (_mean(x.clamp(0, 1), mask_B1SS) for x in (x_B3SS, restored))
    lost = (torch.log(before / after) - _MOST_LOST).clamp_min(0)
    return fields._replace(tone=fields.tone + lost, own=fields.own + lost)


def _mean(x_B3SS: torch.Tensor, mask_B1SS: torch.Tensor) -> torch.Tensor:
    """Mean luma inside the mask, at least 1/1000: (B, 1, 1, 1)."""
    luma = (luma_of(x_B3SS) * mask_B1SS).sum((1, 2, 3), keepdim=True)
    return (luma / mask_B1SS.sum((1, 2, 3), keepdim=True).clamp_min(1)).clamp_min(1e-3)
