"""Losses of the spots stage.

The same image is seen with and without spots, in light that may be bad for both: the difference is
what the stage shall find. Spots come last here, since whatever comes after them scales the light
that they add, but does not change its shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from magenet_batch.degradation import DegradationParams, preset, sample_degradation
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.models.restoration.spots import SpotsStage
from magenet_batch.randomness import generator
from magenet_batch.training.data.ahead import Ahead
from magenet_batch.training.restoration.cameras import draw_photographs
from magenet_batch.training.restoration.config import SpotsTrainingConfig
from magenet_batch.training.restoration.pairs import LightPairs, PairSource, Views
from magenet_batch.training.restoration.sensor import mean_square, psnr_of

Losses = dict[str, torch.Tensor]
SPOTS = "spots"
"""Name of this part and of its files."""
_LEAST = 1e-4  # squared error above which errors of the found light count relatively
_BELIEVED = 1.5e-5  # the same for the decision where to believe it: 48 dB
_NONE = 1e-6  # squared error that counts as zero: 60 dB
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class SpottedPairs:
    """Pairs of images with and without spots.

    Attributes:
        views: photographs, and how the light of both images of a pair is degraded.
        size: side of the images, pixels.
        lit: share of the pairs whose light is degraded.
        spotted: share of the pairs with spots.
    """

    views: Views
    size: int
    lit: float
    spotted: float

    def pairs(self, rng: np.random.Generator, count: int) -> LightPairs:
        """Draw photographs, degrade their light, and add spots to copies."""
        views = self.views
        image, mask = draw_photographs(
            rng, views.photos, views.variety, count=count, size=self.size
        )
        light = [
            replace(views.seen(rng), spots=()) if rng.random() < self.lit else DegradationParams()
            for _ in range(count)
        ]
        wanted = apply_degradation(image, light, mask_B1HW=mask).clamp(0, 1) * mask
        spots = [
            sample_degradation(rng, preset("spots"))
            if rng.random() < self.spotted else DegradationParams()
            for _ in range(count)
        ]  # fmt: skip
        seen = apply_degradation(wanted, spots, mask_B1HW=mask).clamp(0, 1) * mask
        return LightPairs((seen * 255).round() / 255, wanted, mask)


class SpotsLessons:
    """Batches and losses of the spots part.

    Args:
        pairs: images with and without spots.
        config: configuration of this part.
        seed: random seed.
        device: device of the trained stage.
        loaders: processes that prepare batches ahead.
    """

    def __init__(
        self,
        pairs: PairSource,
        config: SpotsTrainingConfig,
        *,
        seed: int,
        device: torch.device = _CPU,
        loaders: int = 0,
    ) -> None:
        self._pairs, self._config, self._seed, self._device = pairs, config, seed, device
        self._ahead = Ahead(self._drawn, loaders=loaders)

    def losses(self, student: nn.Module, teacher: nn.Module, step: int, share: float) -> Losses:
        """Compute the losses of one step; light and belief are trained by separate errors.

        The error of the belief is small, and would teach the stage to find nothing.
        """
        pairs = self._ahead.at(step).to(self._device)
        m = pairs.mask
        wanted = pairs.seen - pairs.wanted
        added, belief = student(pairs.seen, m)
        believed = mean_square(added.detach() * belief - wanted, m)
        losses = {
            "spots": torch.log(mean_square(added - wanted, m) + _LEAST).mean(),
            "belief": torch.log(believed + _BELIEVED).mean(),
        }
        losses["total"] = losses["spots"] + losses["belief"]
        with torch.no_grad():
            gained = torch.log10((mean_square(wanted, m) + _NONE) / (believed + _NONE))
            losses["decibel"] = 10 * gained.mean()
        return losses

    def close(self) -> None:
        """End the processes that prepare batches."""
        self._ahead.close()

    def _drawn(self, step: int) -> LightPairs:
        return self._pairs.pairs(generator(self._seed, SPOTS, step), self._config.batch)


@torch.no_grad()
def measure_spots(stage: SpotsStage, sets: Sequence[tuple[str, LightPairs]]) -> dict[str, float]:
    """Measure the spots stage on validation sets, by name of the set.

    Returns:
        Decibels gained over doing nothing; the PSNR of images without spots, and the least of them.
    """
    numbers: dict[str, float] = {}
    for name, pairs in sets:
        x, y, m = pairs.seen, pairs.wanted, pairs.mask
        after = psnr_of(x - stage.found(x, m) - y, m)
        clean = psnr_of(stage.found(y, m), m)
        numbers[f"{name}_gain"] = float((after - psnr_of(x - y, m)).mean())
        numbers[f"{name}_clean"] = float(clean.mean())
        numbers[f"{name}_clean_least"] = float(clean.min())
    return numbers
