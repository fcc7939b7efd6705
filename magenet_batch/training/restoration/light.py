"""Losses of the light stage."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from magenet_batch.models.restoration.fields import Fields, planes
from magenet_batch.models.restoration.light import LightStage, least_squares_gains
from magenet_batch.randomness import generator
from magenet_batch.training.data.ahead import Ahead
from magenet_batch.training.restoration.config import LightTrainingConfig
from magenet_batch.training.restoration.pairs import LightPairs, PairSource
from magenet_batch.training.restoration.sensor import mean_square, psnr_of, steepness
from magenet_batch.training.schedule import between, consistency_weight

Losses = dict[str, torch.Tensor]
_LEAST = (
    3e-3,
    1.5e-4,
)  # squared error above which errors count relatively: at start, at end
_STEEP = 5e-5  # the same for differences between neighbouring pixels
_TONE = 1e-3
_UNLIKE = 3e-3  # the same for errors relative to the level, of the tone
_UNLIKE_BELIEVED = 5e-4  # and of the decision whether to change it
_DARK = 0.01**2  # constant of structural similarity: squared levels below it count as black
_BELIEVED = 1.5e-5  # the same for the decision whether to do anything: 48 dB
_NONE = 1e-5
_RAMP = 0.4
_CPU = torch.device("cpu")
_REAL_EVERY = 3  # steps between two steps with real images


class LightLessons:
    """Batches and losses of the light part.

    Args:
        clean: images in bad light, and in the light in which they were taken.
        real: pairs of a strong and a weak view of photographs in bad light, without ground truth;
            None if there are none.
        config: configuration of this part.
        seed: random seed.
        autocast: run in bf16.
        device: device of the trained stage.
        loaders: processes that prepare batches ahead.
    """

    def __init__(
        self,
        clean: PairSource,
        real: PairSource | None,
        config: LightTrainingConfig,
        *,
        seed: int,
        autocast: bool = False,
        device: torch.device = _CPU,
        loaders: int = 0,
    ) -> None:
        self._autocast, self._device = autocast, device
        self._ahead = Ahead(self._drawn, loaders=loaders)
        self._clean, self._real, self._config, self._seed = clean, real, config, seed

    def losses(self, student: nn.Module, teacher: nn.Module, step: int, share: float) -> Losses:
        """Compute the losses of one step; fields and beliefs are trained by separate errors.

        The error of the beliefs is small, and would teach the fields to do nothing. The errors of
        light ignore the tone of the whole image, which cannot be known for a new camera; the tone
        has its own error, which trains nothing else.
        """
        config = self._config
        clean, real = self._ahead.at(step)
        pairs = clean.to(self._device)
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
        shown = restored(x, toned)
        losses["tone"] = config.tone * torch.log(mean_square(shown - y, m) + _TONE).mean()
        losses["level"] = config.level * torch.log(unlike(shown, y, m) + _UNLIKE).mean()
        final = restored(x, known._replace(toned=fields.toned).believed())
        losses["tone_belief"] = 0.3 * torch.log(mean_square(final - y, m) + _BELIEVED).mean()
        losses["level_belief"] = (
            0.6 * config.level * torch.log(unlike(final, y, m) + _UNLIKE_BELIEVED).mean()
        )
        weight = consistency_weight(share, weight=config.consistency, ramp=_RAMP)
        if real is not None and weight > 0:
            losses["consistency"] = weight * self._disagreement(
                student, teacher, real.to(self._device)
            )
        losses["total"] = torch.stack(list(losses.values())).sum()
        with torch.no_grad():
            own = mean_square(aligned(x, y, m) - y, m)
            losses["decibel"] = decibels(own, mean_square(chosen - y, m)).mean()
            losses["decibel_raw"] = decibels(
                mean_square(x - y, m), mean_square(final - y, m)
            ).mean()
        return losses

    def close(self) -> None:
        """End the processes that prepare batches."""
        self._ahead.close()

    def _drawn(self, step: int) -> tuple[LightPairs, LightPairs | None]:
        """Draw the pairs of a step, and the real ones if it has any."""
        config = self._config
        rng = generator(self._seed, "light", step)
        clean = self._clean.pairs(rng, config.batch)
        wanted = config.consistency > 0 and config.real_batch and step % _REAL_EVERY == 0
        if self._real is None or not wanted:
            return clean, None
        return clean, self._real.pairs(rng, config.real_batch)

    def _fields(self, stage: nn.Module, x: torch.Tensor, m: torch.Tensor) -> Fields:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self._autocast):
            result: Fields = stage(x, m)
            return result

    def _disagreement(
        self, student: nn.Module, teacher: nn.Module, pairs: LightPairs
    ) -> torch.Tensor:
        """Difference between the student on a strong view and its teacher on a weak one."""
        strong, weak, m = pairs.seen, pairs.wanted, pairs.mask
        with torch.no_grad():
            fields = self._fields(teacher, weak, m)
            agreed = restored(weak, fields.without_tone())
        fields = self._fields(student, strong, m)
        mine = aligned(restored(strong, fields.without_tone()), agreed, m)
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


def unlike(x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """1 - the similarity of light of two images, (B,), 0..1.

    The first factor of structural similarity (Wang et al., IEEE TIP 2004), pixel by pixel. It
    compares relative to the level, so that the dark blue channel counts as much as red.
    """
    x = x.clamp_min(0)
    alike = (2 * x * y + _DARK) / (x.square() + y.square() + _DARK)
    return ((1 - alike) * mask).sum((1, 2, 3)) / (3 * mask.sum((1, 2, 3))).clamp_min(1)


@torch.no_grad()
def measure_light(stage: LightStage, sets: Sequence[tuple[str, LightPairs]]) -> dict[str, float]:
    """Measure the light stage on validation sets, by name of the set.

    Returns:
        Decibels gained over doing nothing, aligned and raw; similarity of light gained; and the
        PSNR of clean images.
    """
    numbers: dict[str, float] = {}
    for name, pairs in sets:
        x, y, m = pairs.seen, pairs.wanted, pairs.mask
        fields = stage(x, m).believed()
        even, raw = restored(x, fields.without_tone()), restored(x, fields).clamp(0, 1)

        even_gain = psnr_of(aligned(even, y, m) - y, m) - psnr_of(aligned(x, y, m) - y, m)
        numbers[f"{name}_even"] = float(even_gain.mean())
        numbers[f"{name}_raw"] = float((psnr_of(raw - y, m) - psnr_of(x - y, m)).mean())
        numbers[f"{name}_level"] = float((unlike(x, y, m) - unlike(raw, y, m)).mean())
        whole = stage(y, m).believed()
        clean = psnr_of(restored(y, whole).clamp(0, 1) - y, m)
        numbers[f"{name}_clean"] = float(clean.mean())
        numbers[f"{name}_clean_least"] = float(clean.min())
    return numbers
