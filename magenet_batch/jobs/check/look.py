"""Goes through the shards of a job in threads, for commands that look at it again."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from magenet_batch.errors import UsageError
from magenet_batch.jobs.engine.progress import Progress, SilentProgress
from magenet_batch.jobs.ledger.ledger import Ledger
from magenet_batch.jobs.plan.plan import Plan, Task, tasks_of
from magenet_batch.jobs.work.worker import Counters
from magenet_batch.records.columns import plain_rows
from magenet_batch.records.layout import PLAN, state_files
from magenet_batch.records.run_info import has_sidecars, read_record
from magenet_batch.records.schema import Row
from magenet_batch.stop import two_stage_stop
from magenet_batch.storage import Location

_STOPPING = "Stopping after the current shard. Press Ctrl-C again to stop immediately."
T = TypeVar("T")


def ledger_of(out: Location) -> Ledger:
    """The ledger of a job.

    Raises:
        UsageError: there is no job in the folder.
        JobError: its plan cannot be read.
    """
    states = state_files(out)
    if not states:
        raise UsageError(f"{out} holds no job: give the folder that `magenet enhance -o` wrote.")
    sidecars = has_sidecars(read_record(states[0]).identity)
    return Ledger(out, Plan.load(out / PLAN), sidecars=sidecars)


def look_at(
    ledger: Ledger,
    shards: Sequence[int],
    *,
    columns: list[str] | None,
    each: Callable[[Task, Row], T],
    keep: Callable[[int, list[T]], None],
    threads: int,
    progress: Progress | None,
    stop: threading.Event | None,
) -> bool:
    """Call a function for every row of some shards, and keep the results shard by shard.

    Args:
        ledger: of the job.
        shards: finished shards.
        columns: columns to read; None for all.
        each: called in a thread with the planned image and its row.
        keep: called with the results of a shard, in the order of its rows; it commits them.
        threads: number of threads.
        progress: shows the number of images; None shows nothing.
        stop: set it from another thread to stop after the current shard; None if only signals stop.

    Returns:
        Whether it went through all of them.
    """
    done = 0
    shown, stop = progress or SilentProgress(), stop or threading.Event()
    shown.start(sum(map(ledger.plan.shard_rows, shards)))
    with (
        contextlib.closing(shown),
        two_stage_stop(stop, say=shown.note, text=_STOPPING),
        ThreadPoolExecutor(threads) as pool,
    ):
        for shard in shards:
            if stop.is_set():
                return False
            rows = plain_rows(ledger.read(shard, columns=columns))
            tasks = tasks_of(ledger.plan.slice(shard, range(len(rows))))
            keep(shard, list(pool.map(each, tasks, rows)))
            done += len(rows)
            shown.update(Counters(images=done))
    return True
