"""The work that is left of a job."""

from __future__ import annotations

import threading

from magenet_batch.jobs.ledger.ledger import Ledger
from magenet_batch.jobs.work.update import update_rows
from magenet_batch.jobs.work.worker import WorkUnit


def remaining_units(ledger: Ledger, *, retry_failed: bool, stop: threading.Event) -> list[WorkUnit]:
    """Remaining work: shards without rows, changed images, and failed ones to be retried.

    Args:
        ledger: of the job.
        retry_failed: whether failed images, and those whose output has disappeared, are work.
        stop: set to stop looking for changed images.

    Raises:
        StorageError: rows cannot be written, or a server refuses every request.
    """
    done = ledger.done()
    units = [
        WorkUnit(shard, tuple(range(ledger.plan.shard_rows(shard))), whole=True)
        for shard in ledger.shards
        if shard not in done
    ]
    again = update_rows(ledger, stop=stop)
    for shard in sorted(done) if retry_failed else ():
        if ledger.sidecars:
            ledger.restore_sidecars(shard)
        again[shard] = again.get(shard, set()).union(ledger.to_retry(shard))
    units.extend(
        WorkUnit(shard, tuple(sorted(positions)), whole=False)
        for shard, positions in sorted(again.items())
        if positions
    )
    return units
