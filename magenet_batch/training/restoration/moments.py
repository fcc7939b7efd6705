"""Closed-form fit of Sense's gains: moments of crops are collected once, then no pixel is needed.

With C = F^T F and B = F^T t, for the bands F of a crop and the wanted detail t, the squared error
of any matrices of bands W is tr(W^T C W) - 2 tr(W^T B) + |t|^2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from magenet_batch.models.restoration.bands import BANDS, detail_bands
from magenet_batch.models.restoration.sense import Sense, Sensed
from magenet_batch.models.restoration.statistics import band_statistics
from magenet_batch.randomness import generator
from magenet_batch.training.part import PartSchedule, PartTrainer, PhaseOfRun
from magenet_batch.training.restoration.config import MomentsConfig
from magenet_batch.training.restoration.views import Crops

SENSE = "sense"
"""Name of this part and of its files."""
EDGE = 4.0  # weight of differences between neighbouring pixels, where vessels show
_LEAST = 3e-6  # mean squared error that counts as zero: 55 dB


@dataclass(frozen=True)
class Moments:
    """Moments of N crops.

    Attributes:
        statistics: (N, `STATISTICS`).
        covariance: C, (N, 3 `BANDS`, 3 `BANDS`), means over pixels.
        product: B, (N, 3 `BANDS`, 3).
        square: |t|^2, (N,).
        facts: (N, 3), as `Crops.facts`.
    """

    statistics: torch.Tensor
    covariance: torch.Tensor
    product: torch.Tensor
    square: torch.Tensor
    facts: torch.Tensor

    def __getitem__(self, chosen: torch.Tensor) -> Moments:
        return Moments(*(t[chosen] for t in vars(self).values()))

    def __len__(self) -> int:
        return len(self.square)


def moments_of(crops: Crops) -> Moments:
    """Compute statistics and moments of a batch of crops."""
    bands = detail_bands(crops.seen)
    target = torch.stack(detail_bands(crops.wanted).detail).sum(0)
    f, weight = bands.stacked, crops.mask
    count = weight.sum((1, 2, 3)).clamp_min(1)
    n, channels = f.shape[:2]
    c, b, s = f.new_zeros(n, channels, channels), f.new_zeros(n, channels, 3), f.new_zeros(n)
    for scale, axis in ((1.0, None), (EDGE, 2), (EDGE, 3)):
        x, t = (f, target) if axis is None else (_across(f, axis), _across(target, axis))
        x, t = (x * weight).flatten(2), (t * weight).flatten(2)
        c = c + scale * x @ x.mT
        b = b + scale * x @ t.mT
        s = s + scale * t.square().sum((1, 2))
    shape = (-1, 1, 1)
    return Moments(
        band_statistics(bands, crops.inner),
        c / count.view(shape), b / count.view(shape), s / count, crops.facts,
    )  # fmt: skip


def _across(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Differences between neighbouring pixels along an axis, 0 at the end."""
    return F.pad(x.diff(dim=axis), (0, 0, 0, 1) if axis == 2 else (0, 1))


def gather(
    batches: Iterator[Crops],
    *,
    samples: int,
    before: Moments | None = None,
    stopped: Callable[[int], bool] = lambda have: False,
) -> Moments:
    """Collect the moments of crops.

    They are written into preallocated arrays: small arrays that stay alive, allocated between large
    temporary ones, would prevent all of that memory from being reused.

    Args:
        batches: yields crops that follow those of `before`.
        samples: total number of crops.
        before: moments of crops that were collected earlier.
        stopped: called after every batch with the number of crops so far; return True to stop.

    Returns:
        Moments of `samples` crops, or of fewer after a stop.
    """
    kept: list[torch.Tensor] = []
    have = 0

    def keep(found: list[torch.Tensor]) -> int:
        if not kept:
            kept.extend(t.new_empty((samples, *t.shape[1:])) for t in found)
        count = min(len(found[0]), samples - have)
        for into, part in zip(kept, found, strict=True):
            into[have : have + count] = part[:count]
        return have + count

    if before is not None:
        have = keep(list(vars(before).values()))
    with torch.no_grad():
        while have < samples:
            have = keep(list(vars(moments_of(next(batches))).values()))
            if stopped(have):
                break
    return Moments(*(t[:have] for t in kept))


def squared_error(matrices: torch.Tensor, moments: Moments) -> torch.Tensor:
    """Mean squared error of matrices of bands (N, `BANDS`, 3, 3): (N,)."""
    n = len(moments)
    c = moments.covariance.view(n, BANDS, 3, BANDS, 3)
    b = moments.product.view(n, BANDS, 3, 3)
    quadratic = torch.einsum("nkoi,nkilj,nloj->n", matrices, c, matrices)
    linear = torch.einsum("nkoi,nkio->n", matrices, b)
    return quadratic - 2 * linear + moments.square


def fit_sense(
    sense: Sense, moments: Moments, *, config: MomentsConfig, run: PhaseOfRun, seed: int
) -> dict[str, float] | None:
    """Train Sense in place, or resume.

    Args:
        sense: the module; the mean and spread of its statistics are set too.
        moments: moments of crops.
        config: duration of the training.
        run: folder of its checkpoint and curves, and when to stop.
        seed: random seed.

    Returns:
        On the tenth of the crops that is held out: `decibel`, the gain over doing nothing, and
            `best`,
        the gain of the best matrices of each crop. None after a stop, when the checkpoint was
        saved.
    """
    held = max(1, len(moments) // 10)
    test, train = moments[torch.arange(held)], moments[torch.arange(held, len(moments))]
    sense.mean.copy_(train.statistics.mean(0))
    sense.spread.copy_(train.statistics.std(0) + 1e-3)

    def losses(student: Sense, teacher: Sense, step: int, share: float) -> dict[str, torch.Tensor]:
        rng = generator(seed, SENSE, step)
        some = train[torch.from_numpy(rng.integers(len(train), size=config.batch))]
        jitter = torch.from_numpy(rng.standard_normal(some.statistics.shape, np.float32))
        sensed = student(some.statistics + 0.05 * student.spread * jitter)
        error = squared_error(sensed.matrices, some)
        found = {
            "error": torch.log(error.clamp_min(0) + _LEAST).mean(),
            "estimates": 0.2 * estimate_error(sensed, some.facts),
        }
        return found | {"total": found["error"] + found["estimates"]}

    schedule = PartSchedule(
        steps=config.steps, minutes=0.0, peak=config.learning_rate, final=0.0, ema=0.0,
        validate_every=config.steps, checkpoint_minutes=run.checkpoint_minutes,
        fingerprint=run.fingerprint, warmup=0, weight_decay=0.05,
    )  # fmt: skip
    trainer = PartTrainer(
        SENSE, sense, losses=losses, validate=lambda found: _gained(found, test),
        schedule=schedule, folder=run.folder, reporter=run.reporter, stopped=run.stopped,
    )  # fmt: skip
    done = trainer.run()
    sense.eval()
    return _gained(sense, test) if done else None


@torch.no_grad()
def _gained(sense: Sense, test: Moments) -> dict[str, float]:
    """Decibels gained over doing nothing: by Sense, and by the best matrices of each crop."""
    eye = torch.eye(3).expand(len(test), BANDS, 3, 3)
    errors = [squared_error(m, test).clamp_min(0) + _LEAST
              for m in (eye, sense(test.statistics).matrices, best_matrices(test))]  # fmt: skip
    nothing, found, best = (10 * torch.log10(e) for e in errors)
    return {"decibel": float((nothing - found).mean()), "best": float((nothing - best).mean())}


def estimate_error(sensed: Sensed, facts: torch.Tensor) -> torch.Tensor:
    """Mean absolute error of Sense's estimates of blur (log), noise (log) and compression."""
    found = torch.stack([sensed.blur, 100 * sensed.noise, sensed.jpeg], 1)
    growth = torch.tensor([1.0, 1.0, 0.0], device=found.device)

    def scaled(t: torch.Tensor) -> torch.Tensor:
        return torch.where(growth > 0, torch.log1p(4 * t), 2 * t)

    return F.smooth_l1_loss(scaled(found), scaled(facts), beta=0.1)


def best_matrices(moments: Moments) -> torch.Tensor:
    """Matrices of bands with the least squared error, for each crop."""
    n, size = len(moments), 3 * BANDS
    c = moments.covariance.view(n, BANDS, 3, BANDS, 3)
    # For one output channel, the unknowns are one gain per band and input channel.
    ridge = 1e-8 * torch.eye(size, dtype=torch.float64)
    solved = torch.linalg.solve(c.reshape(n, size, size).double() + ridge, moments.product.double())
    result: torch.Tensor = solved.float().view(n, BANDS, 3, 3).mT
    return result
