"""Where the light part's pairs of images come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch

from magenet_batch.degradation import DegradationParams, sample_degradation
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.degradation.sample import Preset
from magenet_batch.training.data.images import TrainingImages
from magenet_batch.training.restoration.cameras import CameraVariety, draw_photographs

Drawing = Callable[[np.random.Generator], DegradationParams]
"""Draws the degradation of one image."""
_OTHER_VEILS = 0.4  # share of veils
_VEILS = ((0.45, 0.4, 0.05), (0.9, 0.85, 0.75))  # range of their RGB


@dataclass(frozen=True)
class LightPairs:
    """Whole images in bad light, and in the light in which they were taken.

    Attributes:
        seen: degraded images, (B, 3, S, S), 0..1, black outside the field of view.
        wanted: clean images of the same shape and range.
        mask: field of view, (B, 1, S, S) of 0 and 1.
    """

    seen: torch.Tensor
    wanted: torch.Tensor
    mask: torch.Tensor

    def to(self, device: torch.device) -> LightPairs:
        """The same pairs on a device."""
        return LightPairs(*(t.to(device, non_blocking=True) for t in vars(self).values()))

    def pin_memory(self) -> LightPairs:
        """The same pairs in page-locked memory, from which a GPU copies faster."""
        return LightPairs(*(t.pin_memory() for t in vars(self).values()))


class PairSource(Protocol):
    """Yields pairs of images."""

    def pairs(self, rng: np.random.Generator, count: int) -> LightPairs:
        """Draw some pairs; `rng` is the only source of randomness."""


@dataclass(frozen=True)
class Views:
    """Photographs, how they are varied, and how the two images of a pair are degraded.

    Attributes:
        photos: photographs to draw from.
        variety: variation between cameras.
        seen: draws how what is seen is degraded.
        wanted: draws how what is wanted is degraded; None: not at all.
    """

    photos: TrainingImages
    variety: CameraVariety
    seen: Drawing
    wanted: Drawing | None = None

    def to(self, device: torch.device) -> Views:
        """The same, with the photographs on a device."""
        return replace(self, photos=self.photos.to(device))


@dataclass(frozen=True)
class DrawnPairs:
    """Pairs that are drawn and degraded at each step, at the size of the light stage.

    Attributes:
        views: what is drawn.
        size: side of the images, pixels.
    """

    views: Views
    size: int

    def pairs(self, rng: np.random.Generator, count: int) -> LightPairs:
        """Draw photographs, and degrade copies of them."""
        views = self.views
        image, mask = draw_photographs(
            rng, views.photos, views.variety, count=count, size=self.size
        )

        def degraded(how: Drawing) -> torch.Tensor:
            params = [how(rng) for _ in range(count)]
            return apply_degradation(image, params, mask_B1HW=mask) * mask

        wanted = image if views.wanted is None else degraded(views.wanted)
        seen = degraded(views.seen)
        return LightPairs((seen * 255).round() / 255, wanted, mask)


def drawing(how: Preset, *, veils: bool = False) -> Drawing:
    """Draw from a preset; `veils` gives some veils unusual colours: yellow, brown, blue."""

    def draw(rng: np.random.Generator) -> DegradationParams:
        params = sample_degradation(rng, how)
        return _veiled(rng, params) if veils else params

    return draw


def _veiled(rng: np.random.Generator, params: DegradationParams) -> DegradationParams:
    rgb = rng.uniform(*_VEILS) * rng.uniform(0.7, 1.15)
    if rng.random() >= _OTHER_VEILS:
        return params
    red, green, blue = rgb.clip(0, 1).tolist()
    return replace(params, haze_rgb=(red, green, blue))
