"""Quantities that change over a run: learning rate, consistency weight, teacher decay, views."""

from __future__ import annotations

import math
from collections.abc import Sequence

from magenet_batch.training.config import WeightedView


def learning_rate(step: int, progress: float, *, peak: float, final: float, warmup: int) -> float:
    """Learning rate: linear warm-up, then half a cosine.

    Args:
        step: number of optimiser steps done.
        progress: share of the run that is done, 0..1.
        peak: learning rate after warm-up.
        final: learning rate at the end.
        warmup: number of steps of warm-up.
    """
    rise = min(1.0, (step + 1) / (warmup + 1))
    return rise * (final + (peak - final) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def consistency_weight(progress: float, *, weight: float, ramp: float) -> float:
    """Sigmoid-shaped ramp-up exp(-5 (1 - t)^2) of Tarvainen and Valpola (NeurIPS 2017).

    Args:
        progress: share of the run that is done, 0..1.
        weight: value after the ramp.
        ramp: share of the run over which it rises, 0..1.
    """
    t = min(progress / ramp, 1.0)
    return weight * math.exp(-5 * (1 - t) ** 2)


def ema_decay(step: int, *, decay: float) -> float:
    """Decay min(1 - 1/(t + 1), decay), t counted from 1: at first the mean of all students."""
    return min(1 - 1 / (step + 1), decay)


def between(first: float, last: float, progress: float) -> float:
    """Interpolate geometrically between two positive numbers."""
    result: float = first * (last / first) ** min(progress, 1.0)
    return result


def view_weights(views: Sequence[WeightedView], progress: float) -> list[float]:
    """Interpolate the probability of each view linearly; they sum to 1.

    Args:
        views: views with their weights at the start and at the end.
        progress: share of the run that is done, 0..1.
    """
    t = min(progress, 1.0)
    weights = [view.first + (view.last - view.first) * t for view in views]
    return [weight / sum(weights) for weight in weights]
