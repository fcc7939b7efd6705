"""The tone of known cameras: colours and statistics of whole images to gains of the channels.

After light and veil are undone, one gain per channel and the black of blue are left to find, and
thumbnails show their error. Each image is evened once; training then takes minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from magenet_batch.models.restoration.cameras import KnownCameras
from magenet_batch.models.restoration.fields import Fields, planes
from magenet_batch.models.restoration.light import LightStage, known_features, toned
from magenet_batch.randomness import generator
from magenet_batch.training.part import PartSchedule, PartTrainer, PhaseOfRun
from magenet_batch.training.restoration.config import ToneTrainingConfig
from magenet_batch.training.restoration.light import unlike
from magenet_batch.training.restoration.sensor import mean_square, psnr_of
from magenet_batch.training.restoration.whole import WholeImages, joined

Losses = dict[str, torch.Tensor]
TONE = "tone"
"""Name of this part and of its files."""
_AT_ONCE = 32  # images that are evened together
_THUMB = 32  # side of the thumbnails, pixels
_INSIDE = 0.98  # share of such a pixel that must lie inside the field of view
_LEAST = 1e-3  # squared error above which errors of the tone count relatively
_UNLIKE = 3e-3  # the same for errors relative to the level
_BELIEVED = 1.5e-5  # squared error, for the decision whether to change the tone: 48 dB
_UNLIKE_BELIEVED = 5e-4
_BELIEF = 0.3  # weight of that decision


@dataclass(frozen=True)
class ToneExamples:
    """N images whose light and veil are undone, and what tells their tone.

    Attributes:
        features: output of `known_features`, (N, F).
        seen: thumbnails as they were, (N, 3, T, T), 0..1.
        evened: the same without uneven light and veil.
        wanted: the same of the clean images.
        mask: where they lie inside the field of view, (N, 1, T, T) of 0 and 1.
        own: log-gains that keep the image's own tone, (N, 3).
    """

    features: torch.Tensor
    seen: torch.Tensor
    evened: torch.Tensor
    wanted: torch.Tensor
    mask: torch.Tensor
    own: torch.Tensor

    def __len__(self) -> int:
        return len(self.own)

    def __getitem__(self, chosen: torch.Tensor) -> ToneExamples:
        return ToneExamples(*(t[chosen] for t in vars(self).values()))

    def toned(self, told_N5: torch.Tensor) -> Fields:
        """What was told, as fields without light."""
        nothing = told_N5.new_zeros(len(told_N5), 3, 1, 1)
        whole = told_N5.new_ones(len(told_N5))
        without = Fields(
            nothing, nothing[:, :1], nothing, nothing[:, :1], nothing, nothing,
            self.own[:, :, None, None], whole, whole,
        )  # fmt: skip
        return toned(without, told_N5)

    def shown(self, fields: Fields) -> torch.Tensor:
        """The thumbnails with the tone of these fields, not clipped."""
        told = fields.believed()
        return self.evened * told.tone.exp() - told.black


@torch.no_grad()
def _examples(
    stage: LightStage, seen: torch.Tensor, wanted: torch.Tensor, mask: torch.Tensor,
    statistics: torch.Tensor,
) -> ToneExamples:  # fmt: skip
    """Undo light and veil of a batch of images.

    Args:
        stage: finds light and veil.
        seen: images, (B, 3, S, S), 0..1, black outside the field of view.
        wanted: what they should become, alike.
        mask: field of view, (B, 1, S, S) of 0 and 1.
        statistics: standardised statistics of what is seen, (B, `STATISTICS`).
    """
    found, colours = stage.untoned(seen, mask, views=stage.config.views)
    light = planes(found.believed().without_tone()).resized(seen.shape[-1])

    def thumbnail(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, size=(_THUMB, _THUMB), mode="area")

    features = known_features(found, colours, statistics)
    return ToneExamples(
        features, thumbnail(seen), thumbnail(light.apply(seen) * mask), thumbnail(wanted),
        (thumbnail(mask) > _INSIDE).float(), found.own.flatten(1),
    )  # fmt: skip


def tone_examples(stage: LightStage, images: WholeImages) -> tuple[ToneExamples, ToneExamples]:
    """Undo light and veil of whole images: degraded ones, and the same without degradation.

    Args:
        stage: finds light and veil.
        images: the images.
    """
    parts: tuple[list[ToneExamples], list[ToneExamples]] = ([], [])
    for first in range(0, len(images), _AT_ONCE):
        some = images[torch.arange(first, min(first + _AT_ONCE, len(images)))]
        seen, wanted, mask = some.seen.float() / 255, some.wanted.float() / 255, some.mask.float()
        parts[0].append(_examples(stage, seen, wanted, mask, some.seen_statistics))
        parts[1].append(_examples(stage, wanted, wanted, mask, some.wanted_statistics))
    return joined(parts[0]), joined(parts[1])


def fit_tone(
    cameras: KnownCameras,
    seen: ToneExamples,
    clean: ToneExamples,
    held: Mapping[str, tuple[ToneExamples, ToneExamples]],
    *,
    config: ToneTrainingConfig,
    run: PhaseOfRun,
    seed: int,
) -> bool:
    """Train the perceptron of known cameras in place, or resume.

    Args:
        cameras: new; the mean and spread of the features are stored with it.
        seen: degraded images.
        clean: the same images without degradation.
        held: both of validation images, by folder.
        config: duration of the training.
        run: folder of its checkpoint and curves, and when to stop.
        seed: random seed.

    Returns:
        False after a stop, when a checkpoint was saved.
    """
    cameras.mean.copy_(seen.features.mean(0))
    cameras.spread.copy_(seen.features.std(0) + 1e-3)

    def losses(student: KnownCameras, teacher: KnownCameras, step: int, share: float) -> Losses:
        rng = generator(seed, TONE, step)
        chosen = torch.from_numpy(rng.integers(len(seen), size=config.batch))
        whole = round(config.clean * config.batch)
        some = joined([seen[chosen[whole:]], clean[chosen[:whole]]])
        features = student.normalised(some.features)
        noise = torch.from_numpy(rng.standard_normal(features.shape, np.float32))
        kept = torch.from_numpy(rng.random((len(some), cameras.first.out_features), np.float32))
        dropped = (kept >= config.dropout).to(features) / (1 - config.dropout)
        told = student(features + config.noise * noise, dropped=dropped)
        degraded = torch.ones(len(some))
        degraded[len(some) - whole :] = 0
        return tone_losses(some, told, degraded, level=config.level)

    schedule = PartSchedule(
        steps=config.steps, minutes=0.0, peak=config.learning_rate, final=0.0, ema=0.0,
        validate_every=config.steps, checkpoint_minutes=run.checkpoint_minutes,
        fingerprint=run.fingerprint, warmup=0, weight_decay=config.weight_decay,
    )  # fmt: skip
    trainer = PartTrainer(
        TONE, cameras, losses=losses, validate=lambda found: measure_tone(found, held),
        schedule=schedule, folder=run.folder, reporter=run.reporter, stopped=run.stopped,
    )  # fmt: skip
    return trainer.run()


def tone_losses(
    examples: ToneExamples, told_N5: torch.Tensor, degraded_N: torch.Tensor, *, level: float
) -> Losses:
    """Losses of the tone of degraded images, and of the decision whether to change an image's own.

    Args:
        examples: images.
        told_N5: what is told of them.
        degraded_N: 1 for degraded images, 0 for others.
        level: weight of errors relative to the level.
    """
    fields = examples.toned(told_N5)
    y, m = examples.wanted, examples.mask

    def errors(fields: Fields) -> tuple[torch.Tensor, torch.Tensor]:
        x = examples.shown(fields)
        return mean_square(x - y, m), unlike(x, y, m)

    square, apart = errors(fields._replace(toned=torch.ones_like(fields.toned)))
    losses = {
        "tone": (0.5 * torch.log(square + _LEAST) * degraded_N).mean(),
        "level": (level * torch.log(apart + _UNLIKE) * degraded_N).mean(),
    }
    square, apart = errors(fields._replace(tone=fields.tone.detach(), black=fields.black.detach()))
    losses["belief"] = _BELIEF * torch.log(square + _BELIEVED).mean()
    losses["level_belief"] = _BELIEF * level * torch.log(apart + _UNLIKE_BELIEVED).mean()
    return losses | {"total": torch.stack(list(losses.values())).sum()}


@torch.no_grad()
def measure_tone(
    cameras: KnownCameras, held: Mapping[str, tuple[ToneExamples, ToneExamples]]
) -> dict[str, float]:
    """Measure the told tone, by folder.

    Returns:
        Decibels and similarity of light gained over doing nothing; and the PSNR of clean images.
    """
    numbers: dict[str, float] = {}
    for name, (seen, clean) in held.items():
        after, kept = (
            e.shown(e.toned(cameras(cameras.normalised(e.features)))) for e in (seen, clean)
        )
        y, m = seen.wanted, seen.mask
        gained = psnr_of(after - y, m) - psnr_of(seen.seen - y, m)
        numbers[f"{name}_raw"] = float(gained.mean())
        numbers[f"{name}_level"] = float((unlike(seen.seen, y, m) - unlike(after, y, m)).mean())
        numbers[f"{name}_clean"] = float(psnr_of(kept - clean.wanted, clean.mask).mean())
    return numbers
