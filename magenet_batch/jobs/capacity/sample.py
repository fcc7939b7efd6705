"""Choose the images on which a job is measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow.compute as pc

from magenet_batch.jobs.plan.plan import Plan
from magenet_batch.randomness import generator

LEAST = 48
"""Smallest default sample: a few seconds of work, even for a fast machine."""
_PER_WORKER = 8
_SHARD = 2  # images: the last workers wait for few


def sample_size(images: int, *, workers: int) -> int:
    """Default number of images to measure: several for each worker, at most all."""
    return min(images, max(LEAST, _PER_WORKER * workers))


def sample_of(plan: Plan, *, images: int) -> Plan:
    """Choose images of all sizes, in random order.

    Sorted by the size of their files, the images are divided into groups of equal number, and one
    of each group is drawn: the mean over the sample is close to that over the archive, and small
    and large images are mixed while it is processed.

    Args:
        plan: all images.
        images: number to choose, at least 1; more than there are means all.

    Returns:
        A plan with the chosen images, in small shards.
    """
    count = min(images, len(plan))
    random = generator(0, "capacity", 0)
    sizes = pc.fill_null(plan.table.column("bytes"), 0).to_numpy()
    by_size = np.argsort(sizes, kind="stable")
    edges = np.linspace(0, len(plan), count + 1).astype(np.int64)
    drawn = by_size[random.integers(edges[:-1], edges[1:])]
    return replace(
        plan, table=plan.table.take(random.permutation(drawn)).combine_chunks(), shard_size=_SHARD
    )
