"""Enhanced images whose originals are grey, in grey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from magenet_batch.jobs.work.measuring import EnhancementLike

if TYPE_CHECKING:
    from magenet_batch.inference.restoring import Estimates


@dataclass(frozen=True)
class Grey:
    """An enhancement whose three channels are equal."""

    pixels: np.ndarray
    vessels_before: np.ndarray | None
    vessels_after: np.ndarray | None
    estimates: Estimates | None


def in_grey(enhanced: EnhancementLike, original: np.ndarray) -> Grey:
    """Copy the enhanced green channel to all channels, or to those that the original had."""
    green = enhanced.pixels[..., 1:2]
    lit = original.reshape(-1, 3).max(0) > 0
    alone = not lit.all()  # a red-free photograph, stored in one channel
    channel = enhanced.pixels[..., [int(np.argmax(lit))]]
    pixels = channel * lit.astype(channel.dtype) if alone else np.repeat(green, 3, axis=2)
    return Grey(
        np.ascontiguousarray(pixels), enhanced.vessels_before, enhanced.vessels_after,
        enhanced.estimates,
    )  # fmt: skip
