"""Batches for a training step, from images in memory.

The generator of a step is seeded by (seed, purpose, step), so nothing has to be stored to resume
exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.degradation.sample import Preset, sample_degradation
from magenet_batch.training.data.augment import recolour, sample_augmentation, warp
from magenet_batch.training.data.config import AugmentConfig
from magenet_batch.training.data.images import TrainingImages

_CROP_ALIGNMENT = 8


class View(NamedTuple):
    """Resolutions of a training step.

    Attributes:
        working: side of the global stages' input, pixels, a multiple of 32.
        ratio: resolution of the original relative to that input; the last stage sees a crop of it.
    """

    working: int
    ratio: int


@dataclass(frozen=True)
class MultiScaleView:
    """A batch as the network sees it: the whole images at the working size, and a crop.

    Attributes:
        working: (B, C, W, W).
        crop: (B, C, W, W), a window of the original; the same tensor as `working` at ratio 1.
        top: first row of the window in the original.
        left: first column.
        size: side of the original, pixels.
    """

    working: torch.Tensor
    crop: torch.Tensor
    top: int
    left: int
    size: int


@dataclass(frozen=True)
class Pairs:
    """Inputs, targets, and where they count.

    Attributes:
        input: the student's input.
        target: clean images, or the teacher's input.
        mask: field of view, 0 or 1.
    """

    input: MultiScaleView
    target: MultiScaleView
    mask: MultiScaleView


def synthetic_pairs(
    rng: np.random.Generator,
    photos: TrainingImages,
    *,
    count: int,
    view: View,
    augment: AugmentConfig,
    preset: Preset,
) -> Pairs:
    """Draw clean images, vary them, and degrade copies of them.

    Args:
        rng: generator of the step.
        photos: clean images.
        count: images in the batch.
        view: resolutions.
        augment: range of the variations.
        preset: how to degrade.

    Returns:
        Degraded images as input, clean ones as target.
    """
    clean, mask = _varied(rng, photos, count=count, view=view, augment=augment)
    params = [sample_degradation(rng, preset) for _ in range(count)]
    degraded = apply_degradation(clean, params, mask_B1HW=mask)
    return _paired(rng, degraded, clean, mask, view)


def real_pairs(
    rng: np.random.Generator,
    photos: TrainingImages,
    *,
    count: int,
    view: View,
    augment: AugmentConfig,
    weak: Preset,
    strong: Preset,
) -> Pairs:
    """Draw real images in two views: a strong one for the student, a weak one for the teacher.

    Both views share their geometry; their degradations are independent.
    """
    real, mask = _varied(rng, photos, count=count, view=view, augment=augment)
    weak_params = [sample_degradation(rng, weak) for _ in range(count)]
    strong_params = [sample_degradation(rng, strong) for _ in range(count)]
    seen_by_teacher = apply_degradation(real, weak_params, mask_B1HW=mask)
    seen_by_student = apply_degradation(real, strong_params, mask_B1HW=mask)
    return _paired(rng, seen_by_student, seen_by_teacher, mask, view)


def _varied(
    rng: np.random.Generator,
    photos: TrainingImages,
    *,
    count: int,
    view: View,
    augment: AugmentConfig,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (B, 3, S, S) and masks (B, 1, S, S) at the view's resolution of the original."""
    chosen = torch.from_numpy(rng.integers(len(photos), size=count)).to(photos.images.device)
    params = [sample_augmentation(rng, augment) for _ in range(count)]
    while photos.images.shape[-1] >= 2 * view.working * view.ratio:
        photos = photos.halved
    both = torch.cat([photos.images[chosen].float() / 255, photos.masks[chosen].float()], 1)
    both = warp(both, params, size=view.working * view.ratio)
    mask = (both[:, 3:] > 0.98).float()
    return recolour(both[:, :3], params) * mask, mask


def _paired(
    rng: np.random.Generator, x: torch.Tensor, target: torch.Tensor, mask: torch.Tensor, view: View
) -> Pairs:
    steps = (view.ratio - 1) * view.working // _CROP_ALIGNMENT
    top, left = (int(rng.integers(steps + 1)) * _CROP_ALIGNMENT for _ in range(2))

    def shown(whole: torch.Tensor) -> MultiScaleView:
        if view.ratio == 1:
            return MultiScaleView(whole, whole, 0, 0, view.working)
        crop = whole[..., top : top + view.working, left : left + view.working]
        return MultiScaleView(F.avg_pool2d(whole, view.ratio), crop, top, left, whole.shape[-1])

    return Pairs(shown(x), shown(target), shown(mask))
