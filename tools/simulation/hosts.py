"""Hosts with clocks that disagree, their processes, and workers that die or only seem to."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from magenet_batch.errors import MagenetError
from magenet_batch.jobs.engine.executor import Broken, Done, Event, Lost, Ready, Tick, WorkerId
from magenet_batch.jobs.ledger.holder import Host
from magenet_batch.jobs.plan.plan import Task, extra_of, tasks_of
from magenet_batch.jobs.work.worker import Counters, Outcome, WorkUnit
from magenet_batch.records.rows import fail, rows_table, start_row
from magenet_batch.records.schema import Row
from magenet_batch.records.sidecar import write_first_rows
from magenet_batch.storage import StorePath, write_atomic
from simulation.store import Server, Wire
from simulation.world import Process, World

OUT = "s3://simulated/out"


@dataclass
class Setting:
    """What all processes of one schedule share.

    Attributes:
        world: time.
        server: the store.
        poison: ids of images that kill their workers.
        failing: probability that an image fails for a while.
        image_s: longest time for an image, seconds.
        pauses: hosts that are stopped, with the time when they continue.
        processes: all processes by number.
        workers: the workers, oldest first.
    """

    world: World
    server: Server
    poison: frozenset[str]
    failing: float
    image_s: float
    pauses: dict[str, float] = field(default_factory=dict)
    processes: dict[int, Process] = field(default_factory=dict)
    workers: list[SimulatedWorker] = field(default_factory=list)

    def process(self, host: str) -> Process:
        """Start a process on a host."""
        made = Process(self.world, host, self.pauses)
        self.processes[made.pid] = made
        return made

    def out(self, process: Process) -> StorePath:
        """The output folder as a process reaches it."""
        return StorePath(OUT, client=Wire(process, self.server))


class SimulatedHost(Host):
    """The host of a process, as its locks see it; its clock is wrong and runs too fast or slow."""

    def __init__(self, setting: Setting, process: Process) -> None:
        self._setting, self._process = setting, process
        random = setting.world.random(f"clock of {process.host}")
        self._offset, self._rate = random.uniform(-1e4, 1e4), random.uniform(0.9, 1.1)

    @property
    def name(self) -> str:
        return self._process.host

    def process(self) -> dict[str, Any]:
        return {"pid": self._process.pid, "host": self.name}

    def lives(self, holder: dict[str, Any]) -> bool:
        found = self._setting.processes.get(holder.get("pid", 0))
        return found is not None and not found.dead

    def token(self) -> str:
        return self._setting.world.token()

    def clock(self) -> float:
        return self._offset + self._rate * self._setting.world.now

    def wall(self) -> float:
        return self.clock()

    def sleep(self, seconds: float) -> None:
        self._process.sleep(seconds)

    @contextlib.contextmanager
    def repeating(self, action: Callable[[], None], *, every: float) -> Iterator[None]:
        stopped, busy = False, False

        def repeat() -> None:
            nonlocal busy
            while not stopped:
                self._process.sleep(every)
                if not stopped:
                    busy = True
                    action()
                    busy = False

        self._process.start(repeat)
        try:
            yield
        finally:
            stopped = True
            while busy:
                self._process.sleep(0.1)


class SimulatedWorker:
    """A process that turns images into rows.

    Args:
        setting: of the schedule.
        host: its host.
        tell: sends an event to the driver.
        worker: its number.
    """

    def __init__(
        self, setting: Setting, host: str, *, tell: Callable[[Event], None], worker: WorkerId
    ) -> None:
        self.process = setting.process(host)
        self.counters = Counters()
        self.stopping = False
        self.cut_off = False
        self._setting, self._tell, self._worker = setting, tell, worker
        self._out = setting.out(self.process)

    def start(self) -> None:
        """Load the network, then be ready."""

        def load() -> None:
            self.process.sleep(self.process.random.uniform(0.5, 8.0))
            self._tell(Ready(self._worker))

        self.process.start(load)

    def submit(self, unit: WorkUnit, part: pa.Table) -> None:
        """Start a unit."""
        self.process.start(lambda: self._run(unit, part))

    def die(self, *, really: bool) -> None:
        """Die, or be cut off from the driver, which takes it for dead."""
        if really:
            self.process.kill()
        self._tell(Lost(self._worker, "it is gone"))
        self.cut_off = True

    def _run(self, unit: WorkUnit, part: pa.Table) -> None:
        self.counters = Counters()
        rows: list[Row] = []
        try:
            for task in tasks_of(part):
                if self.stopping:
                    self._tell(Done(self._worker, Outcome(False, None, self.counters)))
                    return
                rows.append(self._image(task))
                failed = self.counters.failed + (rows[-1]["status"] == "failed")
                self.counters = Counters(self.counters.images + 1, failed)
            table = rows_table(rows, extra_of(part))
            if unit.whole:
                write_first_rows(table, self._out, unit.shard)
        except MagenetError as error:
            self._tell(Broken(self._worker, error))
            return
        given = None if unit.whole else table
        self._tell(Done(self._worker, Outcome(True, given, self.counters)))

    def _image(self, task: Task) -> Row:
        random = self.process.random
        self.process.sleep(random.uniform(0.1, self._setting.image_s))
        if task.image_id in self._setting.poison:
            self.die(really=True)
            self.process.sleep(0.0)
        row = start_row(
            task.image_id, task.source, source_version=task.version, removed=task.removed,
            weights="none", weights_hash=None,
        )  # fmt: skip
        row["read_s"] = float(int(self._setting.world.token(), 16))  # tells two runs apart
        if random.random() < self._setting.failing:
            return fail(row, "unreadable", "for a while")
        write_atomic(self._out / task.output, task.image_id.encode())
        row.update(status="enhanced", output=task.output)
        return row


class SimulatedExecutor:
    """Runs workers on all hosts; what they say arrives late.

    Args:
        setting: of the schedule.
        driver: the process of the engine.
        hosts: names of the hosts.
    """

    def __init__(self, setting: Setting, driver: Process, hosts: list[str]) -> None:
        self._setting, self._driver, self._hosts = setting, driver, hosts
        self._workers: dict[WorkerId, SimulatedWorker] = {}
        self._inbox: deque[Event] = deque()
        self._wake: Callable[[], None] = lambda: None
        driver.at_death.append(self._abandon)

    def spawn(self) -> WorkerId:
        number = len(self._workers)
        host = self._driver.random.choice(self._hosts)
        made = SimulatedWorker(
            self._setting, host, worker=number, tell=lambda event: self._tell(number, event)
        )
        self._workers[number] = made
        self._setting.workers.append(made)
        made.start()
        return number

    def _tell(self, worker: WorkerId, event: Event) -> None:
        if self._workers[worker].cut_off:
            return

        def arrive() -> None:
            self._inbox.append(event)
            self._wake()

        self._setting.world.later(self._driver.random.uniform(0.001, 2.0), arrive)

    def submit(self, worker: WorkerId, unit: WorkUnit, part: pa.Table) -> None:
        found = self._workers[worker]
        delay = self._driver.random.uniform(0.001, 0.5)
        self._setting.world.later(
            delay, lambda: None if found.process.dead else found.submit(unit, part)
        )

    def wait(self, timeout: float, *, tick: Tick) -> list[Event]:
        if not self._inbox:
            self._wake = self._driver.waker()
            self._setting.world.later(timeout, self._wake)
            self._driver.wait()
        events = list(self._inbox)
        self._inbox.clear()
        return events

    def counters(self, worker: WorkerId) -> Counters:
        return self._workers[worker].counters

    def drain(self) -> None:
        for worker in self._workers.values():
            worker.stopping = True

    def kill(self, worker: WorkerId) -> None:
        self._end(self._workers[worker])

    def close(self) -> None:
        for worker in self._workers.values():
            self._end(worker)

    def _abandon(self) -> None:
        """The driver is dead: workers notice, some of them late."""
        for worker in self._workers.values():
            worker.cut_off = worker.cut_off or self._driver.random.random() < 0.3
            self._end(worker)

    def _end(self, worker: SimulatedWorker) -> None:
        """A worker that is cut off hears of its end much later."""
        random = self._driver.random
        delay = random.uniform(60, 400) if worker.cut_off else random.uniform(0.0, 2.0)
        worker.cut_off = True
        self._setting.world.later(delay, worker.process.kill)
