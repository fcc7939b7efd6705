"""Closed-form fit of the tone: colours and statistics of whole images to gains of the channels.

After light and veil are undone, only one gain per channel is left to find. For an evened image e
and the wanted image y, the squared error of gains g is g^2 <e, e> - 2 g <e, y> + <y, y>, so that
the moments of each image are collected once, and no pixel is needed afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.restoration.fields import Fields, planes
from magenet_batch.models.restoration.light import LightStage, Teller, toned
from magenet_batch.randomness import generator
from magenet_batch.training.part import PartSchedule, PartTrainer, PhaseOfRun
from magenet_batch.training.restoration.config import ToneTrainingConfig
from magenet_batch.training.restoration.whole import WholeImages, joined

Losses = dict[str, torch.Tensor]
TONE = "tone"
"""Name of this part and of its files."""
_AT_ONCE = 32  # images whose moments are collected together
_LEAST = 1e-3  # squared error above which errors of the tone count relatively
_BELIEVED = 1.5e-5  # the same for the decision whether to change the tone: 48 dB
_BELIEF = 0.3  # weight of that decision
_NONE = 1e-6  # squared error that counts as zero: 60 dB


@dataclass(frozen=True)
class ToneMoments:
    """Moments of N images; means over the field of view.

    Attributes:
        colours: what `LightStage.untoned` tells of the tone, (N, F).
        statistics: standardised statistics, (N, `STATISTICS`).
        evened: squares of the evened image, (N, 3).
        product: products of the evened and the wanted image, (N, 3).
        wanted: squares of the wanted image, (N, 3).
        before: squared error of the image as it is, (N,).
        own: log-gains that keep the image's own tone, (N, 3).
    """

    colours: torch.Tensor
    statistics: torch.Tensor
    evened: torch.Tensor
    product: torch.Tensor
    wanted: torch.Tensor
    before: torch.Tensor
    own: torch.Tensor

    def __len__(self) -> int:
        return len(self.own)

    def __getitem__(self, chosen: torch.Tensor) -> ToneMoments:
        return ToneMoments(*(t[chosen] for t in vars(self).values()))

    def squared_error(self, log_gains_N3: torch.Tensor) -> torch.Tensor:
        """Mean squared error after gains, not clipped: (N,)."""
        gains = log_gains_N3.exp()
        error = self.evened * gains.square() - 2 * self.product * gains + self.wanted
        return error.mean(1).clamp_min(0)


@torch.no_grad()
def _of_batch(
    stage: LightStage, seen: torch.Tensor, wanted: torch.Tensor, mask: torch.Tensor,
    statistics: torch.Tensor,
) -> ToneMoments:  # fmt: skip
    """Collect the moments of a batch of images.

    Args:
        stage: finds light and veil.
        seen: images, (B, 3, S, S), 0..1, black outside the field of view.
        wanted: what they should become, alike.
        mask: field of view, (B, 1, S, S) of 0 and 1.
        statistics: standardised statistics of what is seen, (B, `STATISTICS`).
    """
    found, colours = stage.untoned(seen, mask)
    light = planes(found.believed().without_tone()).resized(seen.shape[-1])
    even = light.apply(seen) * mask
    count = mask.sum((2, 3)).clamp_min(1)

    def mean(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a * b * mask).sum((2, 3)) / count

    return ToneMoments(
        colours, statistics, mean(even, even), mean(even, wanted), mean(wanted, wanted),
        mean(seen - wanted, seen - wanted).mean(1), found.own.flatten(1),
    )  # fmt: skip


def tone_moments(
    stage: LightStage, images: WholeImages, standardised: Callable[[torch.Tensor], torch.Tensor]
) -> tuple[ToneMoments, ToneMoments]:
    """Collect the moments of whole images: degraded ones, and the same without degradation.

    Args:
        stage: finds light and veil.
        images: the images.
        standardised: standardises their statistics.
    """
    parts: tuple[list[ToneMoments], list[ToneMoments]] = ([], [])
    for first in range(0, len(images), _AT_ONCE):
        some = images[torch.arange(first, min(first + _AT_ONCE, len(images)))]
        seen, wanted, mask = some.seen.float() / 255, some.wanted.float() / 255, some.mask.float()
        told, of_clean = (
            standardised(z).detach() for z in (some.seen_statistics, some.wanted_statistics)
        )
        parts[0].append(_of_batch(stage, seen, wanted, mask, told))
        parts[1].append(_of_batch(stage, wanted, wanted, mask, of_clean))
    return joined(parts[0]), joined(parts[1])


class ToneHead(nn.Module):
    """The layers of a light stage that tell the tone, while they are trained.

    Their first layer sees normalised colours; `write` returns that to the stage.

    Args:
        stage: its layers are trained from new.
        colours: examples of what it sees, (N, F).
        dropout: share of the features that a step leaves out.
    """

    def __init__(self, stage: LightStage, colours: torch.Tensor, *, dropout: float) -> None:
        super().__init__()
        assert stage.tell_tone is not None
        first, _, second, _, last = stage.tone
        assert isinstance(first, nn.Linear)
        assert isinstance(second, nn.Linear)
        assert isinstance(last, nn.Linear)
        self.first = nn.Linear(first.in_features, first.out_features)
        self.tell = Teller(first.out_features)
        self.second = nn.Linear(second.in_features, second.out_features)
        self.last = nn.Linear(last.in_features, last.out_features)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self._dropout = dropout
        self.mean: torch.Tensor
        self.spread: torch.Tensor
        self.register_buffer("mean", colours.mean(0))
        self.register_buffer("spread", colours.std(0) + 1e-3)

    def forward(
        self, moments: ToneMoments, statistics: torch.Tensor, *, dropped: torch.Tensor | None = None
    ) -> Fields:
        """Tell the tone; the returned fields have no light.

        Args:
            moments: images.
            statistics: their statistics, possibly changed.
            dropped: factors on the features, (N, H); None for none.
        """
        y = F.silu(self.first((moments.colours - self.mean) / self.spread) + self.tell(statistics))
        if dropped is not None:
            y = y * dropped
        told = self.last(F.silu(self.second(y)))
        nothing = told.new_zeros(len(told), 3, 1, 1)
        without = Fields(
            nothing, nothing[:, :1], nothing, nothing[:, :1], nothing,
            moments.own[:, :, None, None], told.new_ones(len(told)), told.new_ones(len(told)),
        )  # fmt: skip
        return toned(without, told)

    def kept(self, rng: np.random.Generator, count: int) -> torch.Tensor:
        """Random factors on the features: 0 for what a step leaves out."""
        left = rng.random((count, self.second.in_features), np.float32) >= self._dropout
        return torch.from_numpy(left).to(self.mean) / (1 - self._dropout)

    @torch.no_grad()
    def write(self, stage: LightStage) -> None:
        """Write the layers into a stage, whose colours are not normalised."""
        assert stage.tell_tone is not None
        scaled = self.first.weight / self.spread
        layers = {
            "0.weight": scaled, "0.bias": self.first.bias - scaled @ self.mean,
            "2.weight": self.second.weight, "2.bias": self.second.bias,
            "4.weight": self.last.weight, "4.bias": self.last.bias,
        }  # fmt: skip
        stage.tone.load_state_dict(layers)
        stage.tell_tone.load_state_dict(self.tell.state_dict())


def fit_tone(
    stage: LightStage,
    seen: ToneMoments,
    clean: ToneMoments,
    held: Mapping[str, tuple[ToneMoments, ToneMoments]],
    *,
    config: ToneTrainingConfig,
    run: PhaseOfRun,
    seed: int,
) -> bool:
    """Train the tone of a stage in place, or resume.

    Args:
        stage: its light and veil are not changed.
        seen: moments of degraded images.
        clean: moments of the same images without degradation.
        held: both of validation images, by folder.
        config: duration of the training.
        run: folder of its checkpoint and curves, and when to stop.
        seed: random seed.

    Returns:
        False after a stop, when a checkpoint was saved and the stage is as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = ToneHead(stage, seen.colours, dropout=config.dropout)

    def losses(student: ToneHead, teacher: ToneHead, step: int, share: float) -> Losses:
        rng = generator(seed, TONE, step)
        chosen = torch.from_numpy(rng.integers(len(seen), size=config.batch))
        whole = round(config.clean * config.batch)
        some = joined([seen[chosen[whole:]], clean[chosen[:whole]]])
        z = some.statistics
        noise = torch.from_numpy(rng.standard_normal(z.shape, np.float32)).to(z)
        heard = torch.from_numpy(rng.random((len(z), 1), np.float32) >= config.silent).to(z)
        told = student(
            some, (z + config.noise * noise) * heard, dropped=student.kept(rng, len(some))
        )
        return tone_losses(some, told)

    schedule = PartSchedule(
        steps=config.steps, minutes=0.0, peak=config.learning_rate, final=0.0, ema=0.0,
        validate_every=config.steps, checkpoint_minutes=run.checkpoint_minutes,
        fingerprint=run.fingerprint, warmup=0, weight_decay=config.weight_decay,
    )  # fmt: skip
    trainer = PartTrainer(
        TONE, head, losses=losses, validate=lambda found: measure_tone(found, held),
        schedule=schedule, folder=run.folder, reporter=run.reporter, stopped=run.stopped,
    )  # fmt: skip
    done = trainer.run()
    if done:
        head.write(stage)
    return done


def tone_losses(moments: ToneMoments, told: Fields) -> Losses:
    """Losses of the tone, and of the decision whether to change the image's own."""
    tone = told.tone.flatten(1)
    chosen = told._replace(tone=told.tone.detach()).believed().tone.flatten(1)
    losses = {
        "tone": torch.log(moments.squared_error(tone) + _LEAST).mean(),
        "belief": _BELIEF * torch.log(moments.squared_error(chosen) + _BELIEVED).mean(),
    }
    return losses | {"total": losses["tone"] + losses["belief"]}


@torch.no_grad()
def measure_tone(
    head: ToneHead, held: Mapping[str, tuple[ToneMoments, ToneMoments]]
) -> dict[str, float]:
    """Decibels gained over doing nothing, and the PSNR of clean images, by folder."""
    numbers: dict[str, float] = {}
    for name, (seen, clean) in held.items():
        after, kept = (
            -10 * torch.log10(m.squared_error(head(m, m.statistics).believed().tone.flatten(1))
                              + _NONE)
            for m in (seen, clean)
        )  # fmt: skip
        numbers[f"{name}_raw"] = float((after + 10 * torch.log10(seen.before + _NONE)).mean())
        numbers[f"{name}_clean"] = float(kept.mean())
    return numbers
