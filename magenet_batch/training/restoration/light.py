"""Training data and losses of the light stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from magenet_batch.degradation import DegradationParams, preset, sample_degradation
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.degradation.sample import Preset
from magenet_batch.models.restoration.light import (
    Fields,
    LightStage,
    least_squares_gains,
    planes,
)
from magenet_batch.randomness import generator
from magenet_batch.training.data.config import AugmentConfig
from magenet_batch.training.data.images import TrainingImages
from magenet_batch.training.restoration.cameras import CameraVariety, draw_photographs
from magenet_batch.training.restoration.config import LightTrainingConfig
from magenet_batch.training.restoration.sensor import mean_square, steepness
from magenet_batch.training.schedule import between, consistency_weight

Losses = dict[str, torch.Tensor]
_LEAST = (
    3e-3,
    1.5e-4,
)  # squared error above which errors count relatively: at start, at end
_STEEP = 5e-5  # the same for differences between neighbouring pixels
_TONE = 1e-3
_BELIEVED = 1.5e-5  # the same for the decision whether to do anything: 48 dB
_NONE = 1e-5
_RAMP = 0.4
_OTHER_VEILS = 0.4  # share of veils
_VEILS = ((0.45, 0.4, 0.05), (0.9, 0.85, 0.75))  # range of their RGB
_REAL_EVERY = 3  # steps between two steps with real images


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


class LightLessons:
    """Batches and losses of the light part.

    Args:
        clean: photographs in good light.
        real: photographs in bad light, without ground truth; None if there are none.
        config: configuration of this part.
        augment: geometric variation of the clean images.
        size: side of the images, pixels.
        seed: random seed.
        autocast: run in bf16.
    """

    def __init__(
        self,
        clean: TrainingImages,
        real: TrainingImages | None,
        config: LightTrainingConfig,
        *,
        augment: AugmentConfig,
        size: int,
        seed: int,
        autocast: bool = False,
    ) -> None:
        self._autocast = autocast
        self._clean, self._real, self._config = clean, real, config
        self._size, self._seed = size, seed
        coloured = augment.model_copy(update={
            "gain": config.gain, "gamma": config.gamma, "saturation": config.saturation,
            "colour_share": config.camera_share,
        })  # fmt: skip
        self._variety = CameraVariety(
            coloured, patches=config.patches, vignette=config.vignette, texture=config.texture
        )
        self._as_taken = CameraVariety(augment.model_copy(update={"colour_share": 0.0}))
        self._weak, self._strong = preset("weak_view"), preset("strong_view")

    def pairs(self, rng: np.random.Generator, *, count: int, how: Preset) -> LightPairs:
        """Draw clean images, varied and textured, and degrade copies of them."""
        wanted, mask = draw_photographs(
            rng, self._clean, self._variety, count=count, size=self._size
        )
        params = [_veiled(rng, sample_degradation(rng, how)) for _ in range(count)]
        seen = apply_degradation(wanted, params, mask_B1HW=mask) * mask
        return LightPairs((seen * 255).round() / 255, wanted, mask)

    def losses(self, student: nn.Module, teacher: nn.Module, step: int, share: float) -> Losses:
        """Compute the losses of one step; fields and beliefs are trained by separate errors.

        The error of the beliefs is small, and would teach the fields to do nothing. The errors of
        light ignore the tone of the whole image, which cannot be known for a new camera; the tone
        has its own error, which trains nothing else.
        """
        config = self._config
        rng = generator(self._seed, "light", step)
        pairs = self.pairs(rng, count=config.batch, how=preset(config.preset))
        x, y, m = pairs.seen, pairs.wanted, pairs.mask
        fields = self._fields(student, x, m)
        least = between(*_LEAST, share)

        even = aligned(restored(x, fields.without_tone()), y, m)
        losses = {
            "light": torch.log(mean_square(even - y, m) + least).mean(),
            "detail": config.detail * torch.log(steepness(even - y, m) + _STEEP).mean(),
        }
        known = Fields(*(t.detach() for t in fields))
        believed = known._replace(degraded=fields.degraded).believed().without_tone()
        chosen = aligned(restored(x, believed), y, m)
        losses["belief"] = 0.3 * torch.log(mean_square(chosen - y, m) + _BELIEVED).mean()
        still = known._replace(degraded=known.degraded, toned=torch.ones_like(known.toned))
        toned = still._replace(tone=fields.tone).believed()
        losses["tone"] = (
            config.tone * torch.log(mean_square(restored(x, toned) - y, m) + _TONE).mean()
        )
        final = restored(x, known._replace(toned=fields.toned).believed())
        losses["tone_belief"] = 0.3 * torch.log(mean_square(final - y, m) + _BELIEVED).mean()
        every = step % _REAL_EVERY == 0
        weight = every * consistency_weight(share, weight=config.consistency, ramp=_RAMP)
        if self._real is not None and weight > 0 and config.real_batch:
            losses["consistency"] = weight * self._disagreement(student, teacher, rng)
        losses["total"] = torch.stack(list(losses.values())).sum()
        with torch.no_grad():
            own = mean_square(aligned(x, y, m) - y, m)
            losses["decibel"] = decibels(own, mean_square(chosen - y, m)).mean()
            losses["decibel_raw"] = decibels(
                mean_square(x - y, m), mean_square(final - y, m)
            ).mean()
        return losses

    def _fields(self, stage: nn.Module, x: torch.Tensor, m: torch.Tensor) -> Fields:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self._autocast):
            result: Fields = stage(x, m)
            return result

    def _disagreement(
        self, student: nn.Module, teacher: nn.Module, rng: np.random.Generator
    ) -> torch.Tensor:
        """Difference between the student on a strong view and its teacher on a weak one."""
        assert self._real is not None
        count = self._config.real_batch
        real, m = draw_photographs(rng, self._real, self._as_taken, count=count, size=self._size)
        weak = apply_degradation(real, _params(rng, self._weak, count), mask_B1HW=m) * m
        strong = apply_degradation(real, _params(rng, self._strong, count), mask_B1HW=m) * m
        with torch.no_grad():
            agreed = restored(weak, self._fields(teacher, weak, m).without_tone())
        mine = aligned(restored(strong, self._fields(student, strong, m).without_tone()), agreed, m)
        return torch.log(mean_square(mine - agreed, m) + 1e-4).mean()


def restored(x: torch.Tensor, fields: Fields) -> torch.Tensor:
    """Apply fields to images, without regard to their beliefs; not clipped."""
    return planes(fields).resized(x.shape[-1]).apply(x)


def decibels(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Gain in squared error, in decibels; errors below 1e-5 count as 1e-5."""
    return 10 * torch.log10((before + _NONE) / (after + _NONE))


def aligned(x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Multiply each channel by the gain that brings it closest to another image."""
    return x * least_squares_gains(x * mask, y * mask).clamp(0.2, 5)


def _veiled(rng: np.random.Generator, params: DegradationParams) -> DegradationParams:
    """Give some veils colours beyond the usual ones: yellow, brown, blue."""
    rgb = rng.uniform(*_VEILS) * rng.uniform(0.7, 1.15)
    if rng.random() >= _OTHER_VEILS:
        return params
    red, green, blue = rgb.clip(0, 1).tolist()
    return replace(params, haze_rgb=(red, green, blue))


def _params(rng: np.random.Generator, how: Preset, count: int) -> list[DegradationParams]:
    return [sample_degradation(rng, how) for _ in range(count)]


def _psnr(d: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """PSNR of differences, at most 60 dB: (B,)."""
    return -10 * torch.log10(mean_square(d, mask) + 1e-6)


@torch.no_grad()
def measure_light(stage: LightStage, sets: Sequence[tuple[str, LightPairs]]) -> dict[str, float]:
    """Measure the light stage on validation sets, by name of the set.

    Returns:
        Decibels gained over doing nothing, aligned and raw, and the PSNR of clean images.
    """
    numbers: dict[str, float] = {}
    for name, pairs in sets:
        x, y, m = pairs.seen, pairs.wanted, pairs.mask
        fields = stage(x, m).believed()
        even, raw = restored(x, fields.without_tone()), restored(x, fields).clamp(0, 1)

        even_gain = _psnr(aligned(even, y, m) - y, m) - _psnr(aligned(x, y, m) - y, m)
        numbers[f"{name}_even"] = float(even_gain.mean())
        numbers[f"{name}_raw"] = float((_psnr(raw - y, m) - _psnr(x - y, m)).mean())
        whole = stage(y, m).believed()
        clean = _psnr(restored(y, whole).clamp(0, 1) - y, m)
        numbers[f"{name}_clean"] = float(clean.mean())
        numbers[f"{name}_clean_least"] = float(clean.min())
    return numbers
