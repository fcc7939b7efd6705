"""Runs a schedule with the true engine, ledger, lock and lease, and checks what they promise.

At every step: at most one job, or one of each part of a division, believes that it holds the lock.
At every put of rows: no row of a done image is replaced, and no rows disappear. At the end, when
all is well again: the same command finishes, with one row for each image and each output in place.

A store without conditional puts, and two jobs in one folder, can replace a row by one of the same
image within the time of a request; without conditional puts, only rows older than `SETTLED_S` are
held to the promise. With listings that lag, two jobs can be let in; then only the last is promised.
"""

from __future__ import annotations

import threading
import traceback
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from magenet_batch.errors import JobError, MagenetError
from magenet_batch.jobs.engine.engine import Engine
from magenet_batch.jobs.engine.progress import SilentProgress
from magenet_batch.jobs.ledger.lease import Lease
from magenet_batch.jobs.ledger.ledger import Ledger
from magenet_batch.jobs.ledger.lock import job_lock
from magenet_batch.jobs.plan.plan import PLAN_COLUMNS, Plan
from magenet_batch.jobs.work.remaining import remaining_units
from magenet_batch.records.part import Part
from simulation.hosts import OUT, Setting, SimulatedExecutor, SimulatedHost
from simulation.schedule import (
    HOSTS,
    IMAGES,
    LAG_S,
    LASTS_S,
    PARTS,
    SHARD_SIZE,
    Happening,
    Schedule,
)
from simulation.store import Server, Stored, Trouble
from simulation.world import Process, World

SETTLED_S = 60.0
QUIET_S = 1000.0
"""Time after which nothing of what went wrong is under way any more."""
LAST_TRIES = 3
_IMAGE_TIMEOUT_S, _START_TIMEOUT_S = 120.0, 120.0
_QUIET_LOG: Any = SimpleNamespace(write=lambda event, **values: None)


class BrokenPromiseError(Exception):
    """What was promised does not hold."""


@dataclass
class Result:
    """What came of a schedule.

    Attributes:
        steps: number of steps.
        commands: number of commands by how they ended.
        broken: the promise that was broken; None if all were kept.
    """

    steps: int = 0
    commands: dict[str, int] = field(default_factory=dict)
    broken: str | None = None


def plan_of_images() -> Plan:
    """A plan of images that exist by name only."""
    names = [f"{n}.png" for n in range(IMAGES)]
    columns = [names, names, [f"images/{n}" for n in names], [1] * IMAGES,
               *([None] * IMAGES for _ in range(3))]  # fmt: skip
    arrays = [pa.array(c, f.type) for c, f in zip(columns, PLAN_COLUMNS, strict=True)]
    return Plan(pa.Table.from_arrays(arrays, schema=PLAN_COLUMNS), SHARD_SIZE)


PLAN = plan_of_images()


class Simulation:
    """One run of a schedule.

    Args:
        schedule: the schedule.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._world = World(schedule.seed)
        lag = LAG_S if schedule.store == "lagging" else 0.0
        self._server = Server(self._world, schedule.store == "conditional", lag)
        self._server.before_put = self._check_put
        self._world.after_step = self._check_holders
        poison = frozenset(f"{n}.png" for n in schedule.poison)
        self._setting = Setting(
            self._world, self._server, poison, schedule.failing, schedule.image_s
        )
        self._drivers: list[Process] = []
        self._holders: list[tuple[Lease, Process, int]] = []
        self._result = Result()

    def run(self) -> Result:
        """Let everything happen, then all be well, and check the end."""
        try:
            for one in self._schedule.happenings:
                self._world.later(one.at, partial(self._happen, one))
            self._world.run(LASTS_S + QUIET_S)
            self._finish()
        except BrokenPromiseError as error:
            self._result.broken = str(error)
        finally:
            self._world.after_step = lambda: None
            self._server.before_put = lambda *_: None
            for process in self._setting.processes.values():
                process.kill()
            self._world.run()
        self._result.steps = self._world.steps
        return self._result

    def _happen(self, one: Happening) -> None:
        trouble = self._server.trouble.setdefault(one.host, Trouble())
        until = min(self._world.now + one.seconds, LASTS_S)
        if one.kind == "start":
            self._start(one.host, one.part)
        elif one.kind == "kill":
            for process in self._drivers:
                if process.host == one.host:
                    process.kill()
        elif one.kind == "stop":
            self._setting.pauses[one.host] = until
        elif one.kind == "cut":
            trouble.lost_until = until
        elif one.kind == "deafen":
            trouble.deaf_until = until
        elif one.kind == "slow":
            trouble.slow_until, trouble.slow_by = LASTS_S, one.seconds
        else:
            alive = [w for w in self._setting.workers if not w.process.dead and not w.cut_off]
            if alive:
                alive[0].die(really=one.kind == "worker dies")
        self._world.step()

    def _start(self, host: str, part: int) -> Process:
        process = self._setting.process(host)
        self._drivers.append(process)
        process.start(lambda: self._command(process, part))
        return process

    def _command(self, process: Process, part: int) -> None:
        """What `magenet enhance --retry-failed` does, from the lock to the last check."""
        how = "failed"
        try:
            self._job(process, part)
            how = "finished"
        except JobError as error:
            how = "refused" if "Another job" in str(error) else "failed"
            if "incomplete" in str(error):
                raise BrokenPromiseError(str(error)) from error
        except MagenetError:
            pass
        except Exception as error:
            raise BrokenPromiseError(f"a traceback:\n{traceback.format_exc()}") from error
        count = self._result.commands
        count[how] = count.get(how, 0) + 1
        process.kill()

    def _job(self, process: Process, part: int) -> None:
        out, host = self._setting.out(process), SimulatedHost(self._setting, process)
        share = Part(part, PARTS) if part else None
        with job_lock(out, part=share, host=host) as lease:
            self._holders.append((lease, process, part))
            ledger = Ledger(out, PLAN, part=share, lease=lease)
            units = remaining_units(ledger, retry_failed=True, stop=threading.Event())
            executor = SimulatedExecutor(self._setting, process, list(HOSTS))
            try:
                Engine(
                    executor, ledger=ledger, workers=2, stop=threading.Event(),
                    progress=SilentProgress(), log=_QUIET_LOG, image_timeout=_IMAGE_TIMEOUT_S,
                    start_timeout=_START_TIMEOUT_S, clock=host.clock,
                ).run(units)  # fmt: skip
            finally:
                executor.close()
            _, wrong = ledger.audit()
            if wrong and self._schedule.store != "lagging":
                raise JobError(f"incomplete: {wrong}")

    def _finish(self) -> None:
        """Run the command again, now that all is well; it must do the rest."""
        self._setting.failing = 0.0
        for _ in range(LAST_TRIES):
            process = self._start(HOSTS[0], 0)
            before = self._result.commands.get("finished", 0)
            self._world.run(self._world.now + QUIET_S)
            if not process.dead:
                raise BrokenPromiseError("the last command does not end")
            if self._result.commands.get("finished", 0) > before:
                break
        else:
            raise BrokenPromiseError(f"the last command fails: {self._result.commands}")
        rows = {}
        for shard in range(PLAN.shards):
            data = self._server.get(f"{OUT.partition('://')[2]}/rows/part-{shard:06d}.parquet").data
            rows.update({r["image_id"]: r for r in _rows(data)})
        wrong = [
            name
            for number, name in enumerate(PLAN.table.column("image_id").to_pylist())
            if name not in rows
            or (rows[name]["status"] == "failed") != (number in self._schedule.poison)
        ]
        if wrong:
            raise BrokenPromiseError(f"images without the right row: {wrong}")

    def _check_holders(self) -> None:
        """At most one process believes that it holds the lock, or one of each part."""
        if self._schedule.store == "lagging":
            return
        self._holders = [h for h in self._holders if not h[1].dead]
        now = [part for lease, _, part in self._holders if lease.valid]
        if len(now) > 1 and (0 in now or len(set(now)) < len(now)):
            raise BrokenPromiseError(f"{len(now)} processes hold the lock, of parts {now}")

    def _check_put(self, key: str, before: Stored | None, data: bytes | None) -> None:
        """No row of a done image is replaced, and no rows disappear."""
        if "/rows/" not in key or before is None:
            return
        if data is None:
            raise BrokenPromiseError(f"{key} is removed")
        if self._schedule.store == "lagging":
            return
        age = self._server.now - before.changed
        if self._schedule.store == "plain" and age < SETTLED_S:
            return
        for old, new in zip(_rows(before.data), _rows(data), strict=True):
            if old["status"] != "failed" and old != new:
                raise BrokenPromiseError(
                    f"{key}: {old['image_id']} was {old['status']}, and is replaced by a row that "
                    f"is {new['status']}"
                )


def _rows(data: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(
        pa.BufferReader(data), columns=["image_id", "status", "read_s"], use_threads=False
    ).to_pylist()
    return found


def run(schedule: Schedule) -> Result:
    """Run a schedule."""
    return Simulation(schedule).run()
