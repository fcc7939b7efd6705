"""The engine with workers that die on demand: no Ray, no images."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenet_batch.errors import JobError, WeightsError
from magenet_batch.jobs.engine.engine import Engine
from magenet_batch.jobs.engine.executor import Done, Lost, Ready
from magenet_batch.jobs.engine.limits import DEATHS_IN_A_ROW
from magenet_batch.jobs.engine.progress import SilentProgress
from magenet_batch.jobs.ledger.ledger import Ledger
from magenet_batch.jobs.ledger.log import Log
from magenet_batch.jobs.plan.plan import PLAN_COLUMNS, Plan, extra_of, tasks_of
from magenet_batch.jobs.work.worker import Counters, Outcome, WorkUnit
from magenet_batch.records.layout import rows_file
from magenet_batch.records.rows import rows_table
from magenet_batch.storage import write_parquet


def make_plan(images: int, shard_size: int) -> Plan:
    names = [f"{i}.jpg" for i in range(images)]
    columns = [names, names, [f"images/{n}" for n in names], [1] * images]
    columns += [[None] * images] * 3
    arrays = [pa.array(c, f.type) for c, f in zip(columns, PLAN_COLUMNS, strict=True)]
    return Plan(pa.Table.from_arrays(arrays, schema=PLAN_COLUMNS), shard_size)


class FakeExecutor:
    """Workers that finish at once, except for images that kill and for planned accidents.

    Args:
        out: where whole shards are written.
        killers: images that kill their worker every time.
        accidents: unit numbers (in order of submission) whose worker dies for no reason.
    """

    def __init__(self, out: Path, *, killers=frozenset(), accidents=frozenset(), start=None):
        self.out, self.killers, self.accidents, self.start = out, killers, accidents, start
        self.events: list = []
        self.given: list[tuple[int, WorkUnit]] = []
        self.ready: set[int] = set()
        self.busy: dict[int, tuple[WorkUnit, pa.Table]] = {}
        self.spawned = 0
        self.tries: Counter[str] = Counter()
        self.drained = False
        self.hang: set[str] = set()
        self.doomed: set[int] = set()

    def spawn(self):
        worker, self.spawned = self.spawned, self.spawned + 1
        event = self.start(worker) if self.start else Ready(worker)
        if isinstance(event, Ready):
            self.ready.add(worker)
        self.events.append(event)
        return worker

    def submit(self, worker, unit, part):
        assert worker in self.ready and worker not in self.busy, "only to ready, idle workers"
        suspects = [u for u, _ in self.busy.values() if u.suspect]
        assert not (unit.suspect and suspects), "one suspect in flight"
        self.busy[worker] = (unit, part)
        if len(self.given) in self.accidents:
            self.doomed.add(worker)
        self.given.append((worker, unit))

    def wait(self, timeout, *, tick):
        for worker, (unit, part) in list(self.busy.items()):
            if {t.image_id for t in tasks_of(part)} & self.hang:
                continue
            del self.busy[worker]
            self.events.append(self._end(worker, unit, part))
        events, self.events = self.events, []
        return events

    def _end(self, worker, unit, part):
        names = [t.image_id for t in tasks_of(part)]
        self.tries.update(names)
        if self.killers & set(names) or worker in self.doomed:
            self.ready.discard(worker)
            return Lost(worker, "killed")
        rows = [{"image_id": n, "status": "enhanced", "flags": []} for n in names]
        table = rows_table(rows, extra_of(part))
        if unit.whole:
            write_parquet(table, rows_file(self.out, unit.shard))
        counters = Counters(images=len(names))
        return Done(worker, Outcome(True, None if unit.whole else table, counters))

    def counters(self, worker):
        return Counters()

    def drain(self):
        self.drained = True

    def kill(self, worker):
        self.ready.discard(worker)
        self.busy.pop(worker, None)

    def close(self):
        pass


def run(out: Path, executor, *, images=20, shard_size=8, workers=2, **options) -> list[dict]:
    (out / "rows").mkdir(parents=True, exist_ok=True)
    plan = make_plan(images, shard_size)
    ledger = Ledger(out, plan, weights="w", weights_hash="h")
    units = [WorkUnit(s, tuple(range(plan.shard_rows(s))), whole=True) for s in range(plan.shards)]
    stop = options.pop("stop", None) or threading.Event()
    engine = Engine(
        executor, ledger=ledger, workers=workers, stop=stop, progress=SilentProgress(),
        log=Log(out / "log.jsonl"), **options,
    )  # fmt: skip
    engine.run(units)
    return [r for s in sorted(ledger.done()) for r in pq.read_table(rows_file(out, s)).to_pylist()]


def names(rows: list[dict]) -> list[str]:
    return [r["image_id"] for r in rows]


def test_all_is_done_in_order(tmp_path):
    executor = FakeExecutor(tmp_path)
    assert names(run(tmp_path, executor)) == [f"{i}.jpg" for i in range(20)]
    assert executor.spawned == 2


def test_an_accident_costs_one_more_try(tmp_path):
    executor = FakeExecutor(tmp_path, accidents={0})
    rows = run(tmp_path, executor)
    assert len(rows) == 20 and all(r["status"] == "enhanced" for r in rows)
    assert set(executor.tries.values()) == {1, 2}


def test_an_image_that_kills_is_isolated_and_recorded(tmp_path):
    executor = FakeExecutor(tmp_path, killers={"5.jpg", "19.jpg"})
    rows = run(tmp_path, executor)
    assert names(rows) == [f"{i}.jpg" for i in range(20)]
    failed = {r["image_id"]: r["reason"] for r in rows if r["status"] == "failed"}
    assert failed == {"5.jpg": "crash", "19.jpg": "crash"}
    alone = [u for _, u in executor.given if u.shard == 0 and u.positions == (5,)]
    assert [u.tries for u in alone] == [1, 2, 3]


def test_the_last_try_of_an_image_runs_alone(tmp_path):
    beside: list[int] = []

    class Watching(FakeExecutor):
        def submit(self, worker, unit, part):
            super().submit(worker, unit, part)
            if any(len(u.positions) == 1 and u.tries == 3 for u, _ in self.busy.values()):
                beside.append(len(self.busy))

    run(tmp_path, Watching(tmp_path, killers={"3.jpg"}), images=60, workers=4)
    assert beside == [1]


@settings(max_examples=30, deadline=None)
@given(
    killers=st.sets(st.integers(0, 29), max_size=4),
    accidents=st.sets(st.integers(0, 40), max_size=3),
    shard_size=st.integers(1, 12),
    workers=st.integers(1, 4),
)
def test_rows_out_are_images_in_whatever_dies(
    tmp_path_factory, killers, accidents, shard_size, workers
):
    out = tmp_path_factory.mktemp("job")
    guilty = {f"{i}.jpg" for i in killers}
    executor = FakeExecutor(out, killers=guilty, accidents=accidents)
    rows = run(out, executor, images=30, shard_size=shard_size, workers=workers)
    assert names(rows) == [f"{i}.jpg" for i in range(30)]
    failed = {r["image_id"] for r in rows if r["status"] == "failed"}
    assert guilty <= failed
    if not accidents:
        assert failed == guilty


def test_a_worker_that_hangs_is_killed_and_its_image_named(tmp_path):
    executor = FakeExecutor(tmp_path)
    executor.hang = {"2.jpg"}
    rows = run(tmp_path, executor, images=4, shard_size=2, image_timeout=0.02)
    assert {r["image_id"]: r["reason"] for r in rows if r["reason"]} == {"2.jpg": "timeout"}
    assert names(rows) == [f"{i}.jpg" for i in range(4)]


def test_deaths_at_start_end_the_job(tmp_path):
    executor = FakeExecutor(tmp_path, start=lambda worker: Lost(worker, "out of memory"))
    with pytest.raises(JobError, match="3 workers in a row died during start-up: out of memory"):
        run(tmp_path, executor)


def test_an_error_at_start_is_shown_as_it_is(tmp_path):
    error = WeightsError("no weights")
    executor = FakeExecutor(tmp_path, start=lambda worker: Lost(worker, "", error))
    with pytest.raises(WeightsError, match="no weights"):
        run(tmp_path, executor)


def test_when_everything_dies_the_job_ends(tmp_path):
    executor = FakeExecutor(tmp_path, killers={f"{i}.jpg" for i in range(200)})
    with pytest.raises(JobError, match="died without finishing anything"):
        run(tmp_path, executor, images=200, shard_size=64)


def test_a_stop_drains(tmp_path):
    stop = threading.Event()
    executor = FakeExecutor(tmp_path)
    stop.set()
    assert run(tmp_path, executor, stop=stop) == []
    assert executor.drained and not executor.given


def test_deaths_at_start_count_only_in_a_row(tmp_path):
    """Two workers die, one becomes ready and dies at work, two die again: never three in a row."""
    fate = {0: "dies", 1: "dies", 3: "dies", 4: "dies"}
    executor = FakeExecutor(
        tmp_path, accidents={0},
        start=lambda worker: Lost(worker, "no memory") if worker in fate else Ready(worker),
    )  # fmt: skip
    assert len(run(tmp_path, executor, workers=1)) == 20
    assert executor.spawned == 6


def test_deaths_at_work_count_only_while_nothing_is_finished(tmp_path):
    """Every other image kills: many more deaths than may happen in a row."""
    killers = {f"{i}.jpg" for i in range(0, 60, 2)}
    executor = FakeExecutor(tmp_path, killers=killers)
    rows = run(tmp_path, executor, images=60, shard_size=2, workers=1)
    assert sum(r["status"] == "failed" for r in rows) == 30
    assert executor.spawned > DEATHS_IN_A_ROW + 1


class Slow(FakeExecutor):
    """Takes a moment to say anything."""

    def wait(self, timeout, *, tick):
        time.sleep(0.02)
        return super().wait(timeout, tick=tick)


def test_without_a_ready_worker_the_job_ends_in_time(tmp_path):
    class NeverReady(Slow):
        def spawn(self):
            super().spawn()
            self.events.clear()
            return self.spawned - 1

    began = time.monotonic()
    with pytest.raises(JobError, match="No worker was ready"):
        run(tmp_path, NeverReady(tmp_path), start_timeout=0.1)
    assert 0.1 <= time.monotonic() - began < 5


def test_work_that_takes_longer_than_a_start_may_is_no_slow_start(tmp_path):
    assert len(run(tmp_path, Slow(tmp_path), images=40, shard_size=2, start_timeout=0.1)) == 40
