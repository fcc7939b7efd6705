"""Updates rows whose images need no work, although the plan has grown past them.

A copied archive has new times, a manifest new columns, and a removed image may be back: if the
content is that of the row, only the row changes. Everything else is processed again.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from magenet_batch.errors import ImageError
from magenet_batch.jobs.ledger.ledger import Ledger
from magenet_batch.jobs.plan.plan import Task, tasks_of
from magenet_batch.jobs.work.content import read_source
from magenet_batch.records.schema import Row
from magenet_batch.settings import MAX_PIXELS
from magenet_batch.storage import sha256_of

_THREADS = 4


def update_rows(ledger: Ledger, *, stop: threading.Event) -> dict[int, set[int]]:
    """Update rows of earlier versions as far as their content is still that of the source.

    Args:
        ledger: of the job.
        stop: set to stop reading sources; the rest then counts as work.

    Returns:
        Positions of the images that must be processed again, by shard.

    Raises:
        StorageError: rows cannot be written, or a server refuses every request.
    """
    work: dict[int, set[int]] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for shard, positions in ledger.outdated():
            if stop.is_set():
                work[shard] = set(positions)
                continue
            tasks = tasks_of(ledger.plan.slice(shard, positions))
            rows = ledger.read(shard, columns=["sha256", "source_version"])
            known = pool.map(_describes, rows.take(list(positions)).to_pylist(), tasks)
            well = [p for p, same in zip(positions, known, strict=True) if same]
            if well:
                ledger.follow_plan(shard, well)
            if again := set(positions) - set(well):
                work[shard] = again
    return work


def _describes(row: Row, task: Task) -> bool:
    """Whether a row describes the source as it is now, or one that is gone."""
    if task.removed is not None or task.version == row["source_version"]:
        return True
    try:
        content = read_source(task, max_pixels=MAX_PIXELS)
    except ImageError:
        return False
    return bool(sha256_of(content) == row["sha256"])
