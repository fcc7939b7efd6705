"""The engine: a small loop that gives units to workers and survives their deaths.

It knows nothing about Ray, images or networks, so that tests can run it with workers that die on
demand.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from magenet_batch.errors import JobError
from magenet_batch.jobs.engine.executor import Broken, Done, Event, Executor, Lost, Ready, WorkerId
from magenet_batch.jobs.engine.limits import (
    DEATHS_IN_A_ROW,
    IMAGE_TIMEOUT_S,
    START_DEATHS,
    START_TIMEOUT_S,
)
from magenet_batch.jobs.engine.progress import Progress
from magenet_batch.jobs.engine.retry import must_be_alone, next_units
from magenet_batch.jobs.ledger.ledger import Ledger
from magenet_batch.jobs.ledger.log import Log
from magenet_batch.jobs.work.worker import Counters, WorkUnit

WAIT_S = 0.5


@dataclass
class Running:
    """A unit that a worker is processing.

    Attributes:
        unit: the unit.
        since: when its counters last changed, by the engine's clock.
        seen: the worker's counters at that time.
    """

    unit: WorkUnit
    since: float
    seen: Counters = field(default_factory=Counters)


class Engine:
    """Runs units until all are done.

    Args:
        executor: runs the workers.
        ledger: provides the plan's rows, and collects rows that arrive in pieces.
        workers: number of workers to keep alive.
        stop: set from outside to drain.
        progress: shows the progress of the job.
        log: records events.
        image_timeout: seconds without a finished image after which a worker is killed.
        start_timeout: seconds without any ready worker after which the job fails.
        clock: seconds since some moment.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        ledger: Ledger,
        workers: int,
        stop: threading.Event,
        progress: Progress,
        log: Log,
        image_timeout: float = IMAGE_TIMEOUT_S,
        start_timeout: float = START_TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._executor = executor
        self._ledger = ledger
        self._workers = workers
        self._stop = stop
        self._progress = progress
        self._log = log
        self._image_timeout = image_timeout
        self._start_timeout = start_timeout
        self._queue: deque[WorkUnit] = deque()
        self._suspects: deque[WorkUnit] = deque()
        self._starting: set[WorkerId] = set()
        self._idle: deque[WorkerId] = deque()
        self._running: dict[WorkerId, Running] = {}
        self._pieces: dict[int, dict[int, pa.Table]] = {}
        self._wanted: dict[int, set[int]] = {}
        self._first: set[int] = set()
        self._finished = Counters()
        self._start_deaths = 0
        self._deaths = 0
        self.lost = 0
        """Workers that died during work so far; they may have left half-written files behind."""
        self._clock = clock
        self._alive_at = clock()

    def run(self, units: Iterable[WorkUnit]) -> bool:
        """Run all units.

        Args:
            units: work to do; a unit that is not `whole` is merged into its shard's rows.

        Returns:
            True when all is done, False if it was stopped before.

        Raises:
            JobError: workers cannot stay alive, or the job's lock was lost.
            MagenetError: an error that a worker raised at start-up.
        """
        for unit in units:
            self._queue.append(unit)
            if unit.whole:
                self._first.add(unit.shard)
            else:
                self._wanted.setdefault(unit.shard, set()).update(unit.positions)
        draining = False
        while self._queue or self._suspects or self._running:
            if self._stop.is_set() and not draining:
                draining = True
                self._log.write("draining", running=len(self._running))
                self._executor.drain()
            if draining and not self._running:
                return False
            if not draining:
                self._keep_alive()
                self._dispatch()
            for event in self._executor.wait(WAIT_S, tick=self._report):
                self._handle(event, draining=draining)
            self._ledger.refuse_lost_lease()
            self._check_times()
            self._report()
        return True

    def _keep_alive(self) -> None:
        """Start workers up to the number that is wanted and useful."""
        useful = min(self._workers, len(self._queue) + len(self._suspects) + len(self._running))
        while len(self._starting) + len(self._idle) + len(self._running) < useful:
            self._starting.add(self._executor.spawn())

    def _dispatch(self) -> None:
        """Give work to idle workers that have answered a ping."""
        while self._idle:
            unit = self._choose()
            if unit is None:
                return
            worker = self._idle.popleft()
            part = self._ledger.plan.slice(unit.shard, unit.positions)
            self._running[worker] = Running(unit, self._clock())
            self._executor.submit(worker, unit, part)

    def _choose(self) -> WorkUnit | None:
        """Choose the next unit: suspects first, one at a time, so that the blame is certain."""
        running = [r.unit for r in self._running.values()]
        if any(must_be_alone(u) for u in running):
            return None
        if self._suspects and not any(u.suspect for u in running):
            if must_be_alone(self._suspects[0]) and running:
                return None
            return self._suspects.popleft()
        return self._queue.popleft() if self._queue else None

    def _handle(self, event: Event, *, draining: bool) -> None:
        if isinstance(event, Ready):
            self._starting.discard(event.worker)
            self._idle.append(event.worker)
            self._start_deaths = 0
            self._log.write("worker_ready", worker=event.worker)
        elif isinstance(event, Done):
            running = self._running.pop(event.worker, None)
            if running is None:
                return
            self._idle.append(event.worker)
            if event.outcome.finished:
                self._deaths = 0
                self._count(event.outcome.counters)
                if event.outcome.rows is not None:
                    self._keep(running.unit, event.outcome.rows)
            else:  # stopped: still to do, even if it was the last
                self._queue.appendleft(running.unit)
        elif isinstance(event, Broken):
            self._log.write("worker_broken", worker=event.worker, error=type(event.error).__name__)
            raise event.error
        else:
            self._lost(event, draining=draining)

    def _lost(self, event: Lost, *, draining: bool, timed_out: bool = False) -> None:
        if event.worker in self._starting:
            self._starting.discard(event.worker)
            self._start_deaths += 1
            self._log.write("worker_died_starting", worker=event.worker)
            if event.error is not None:
                raise event.error
            if self._start_deaths >= START_DEATHS:
                raise JobError(
                    f"{self._start_deaths} workers in a row died during start-up: {event.message}. "
                    "Use --workers 0 to see the error, or fewer workers if memory is short."
                )
            return
        if event.worker in self._idle:
            self._idle.remove(event.worker)
        running = self._running.pop(event.worker, None)
        if running is None:
            return
        unit = running.unit
        self._log.write(
            "worker_lost", worker=event.worker, shard=unit.shard, positions=len(unit.positions),
            tries=unit.tries, timed_out=timed_out,
        )  # fmt: skip
        self.lost += 1
        if draining:
            self._queue.appendleft(unit)  # not done, even if it was the last
            return
        self._deaths += 1
        self._progress.note(f"a worker died ({event.message}); its images will be retried")
        if self._deaths >= DEATHS_IN_A_ROW:
            raise JobError(
                f"{self._deaths} workers died without finishing anything in between; the last: "
                f"{event.message}. Finished images are kept; see log.jsonl in the output folder."
            )
        self._again(unit, timed_out=timed_out)

    def _again(self, unit: WorkUnit, *, timed_out: bool) -> None:
        """Schedule what to try next after a unit's worker died."""
        units = next_units(unit)
        if not units:
            position = unit.positions[0]
            self._log.write("image_abandoned", shard=unit.shard, position=position)
            row = self._ledger.failed_row(unit.shard, position, timed_out=timed_out)
            self._count(Counters(images=1, failed=1))
            self._keep(unit, row)
            return
        if unit.whole and not units[0].whole:
            self._wanted.setdefault(unit.shard, set()).update(unit.positions)
        for new in reversed(units):
            (self._suspects if new.suspect else self._queue).appendleft(new)

    def _keep(self, unit: WorkUnit, rows: pa.Table) -> None:
        """Collect rows that arrive in pieces; write the shard's file when it is complete."""
        pieces = self._pieces.setdefault(unit.shard, {})
        for index, position in enumerate(unit.positions):
            pieces[position] = rows.slice(index, 1)
        wanted = self._wanted.get(unit.shard, set(unit.positions))
        if wanted <= pieces.keys():
            write = self._ledger.commit if unit.shard in self._first else self._ledger.merge
            write(unit.shard, pieces)
            del self._pieces[unit.shard]
            self._wanted.pop(unit.shard, None)

    def _check_times(self) -> None:
        """Kill workers that finish nothing; the time counts from the last finished image."""
        now = self._clock()
        for worker, running in list(self._running.items()):
            counters = self._executor.counters(worker)
            if counters != running.seen:
                running.seen, running.since = counters, now
            elif now - running.since > self._image_timeout:
                self._executor.kill(worker)
                message = f"no image finished in {self._image_timeout:.0f} s"
                self._lost(Lost(worker, message), draining=False, timed_out=True)
        if self._running or self._idle:
            self._alive_at = now
        elif now - self._alive_at > self._start_timeout:
            raise JobError(
                f"No worker was ready after {self._start_timeout:.0f} s. Are enough CPUs and "
                "GPUs free? `magenet doctor` checks this machine."
            )

    def _count(self, more: Counters) -> None:
        self._finished = _added(self._finished, more)

    def _report(self) -> None:
        """Show the progress, including shards that are being processed."""
        total = self._finished
        for worker in self._running:
            total = _added(total, self._executor.counters(worker))
        self._progress.update(total)


def _added(a: Counters, b: Counters) -> Counters:
    return Counters(a.images + b.images, a.failed + b.failed, a.pixels + b.pixels)
