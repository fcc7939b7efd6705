"""Decide what to try next when a unit's worker died."""

from __future__ import annotations

from dataclasses import replace

from magenet_batch.jobs.engine.limits import IMAGE_TRIES, SHARD_TRIES
from magenet_batch.jobs.work.worker import WorkUnit


def next_units(unit: WorkUnit) -> list[WorkUnit]:
    """Units to try next after a worker died while processing a unit.

    A shard is tried once more as it is: most deaths are nobody's fault. Then it is halved until the
    image that kills workers is isolated, and that image is tried `IMAGE_TRIES` times.

    Args:
        unit: the unit whose worker died.

    Returns:
        Units that cover the same images; empty if a single image is to be abandoned.
    """
    if len(unit.positions) == 1:
        if unit.tries >= IMAGE_TRIES:
            return []
        return [replace(unit, tries=unit.tries + 1, suspect=True)]
    if not unit.suspect and unit.tries < SHARD_TRIES:
        return [replace(unit, tries=unit.tries + 1)]
    middle = len(unit.positions) // 2
    halves = (unit.positions[:middle], unit.positions[middle:])
    return [
        WorkUnit(unit.shard, positions, whole=False, tries=1, suspect=True) for positions in halves
    ]


def must_be_alone(unit: WorkUnit) -> bool:
    """Whether a unit may only run while nothing else does.

    The last try of a single image decides whether it is abandoned. Another worker that uses up the
    memory must not be able to kill it.
    """
    return len(unit.positions) == 1 and unit.tries >= IMAGE_TRIES
