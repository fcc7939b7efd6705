"""Runs workers as Ray actors, on this machine or on a cluster.

Ray only places processes and reports their deaths. It restarts and retries nothing: that is up to
the engine, because only the engine can tell which image was to blame. Pixels never travel.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa

from magenet_batch.errors import JobError, MagenetError
from magenet_batch.jobs.engine.executor import Broken, Done, Event, Lost, Ready, Tick, WorkerId
from magenet_batch.jobs.engine.ray_start import RayError, RayTaskError, connect, first_line, ray
from magenet_batch.jobs.work.worker import Counters, Worker, WorkerConfig, WorkUnit

POLL_S = 1.0
FIRST_POLL_S = 0.1
"""Interval until the first image is done, so that a user sees it at once."""
LOOK_S = 5.0
RESTARTS = 3
"""Number of restarts of Ray itself when its node on this machine dies."""


class _Actor:
    """A worker in its own process; it answers `control` calls while `run` is working."""

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        self._started: Worker | None = None

    def start(self) -> tuple[int, str]:
        # Not in the constructor: an error raised here reaches the driver unchanged.
        self._started = Worker(self._config)
        node: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        return os.getpid(), node

    @property
    def _worker(self) -> Worker:
        assert self._started is not None, "start() comes first"
        return self._started

    def run(self, unit: WorkUnit, part: pa.Table) -> Any:
        return self._worker.run(unit, part)

    @ray.method(concurrency_group="control")
    def counters(self) -> Counters:
        return self._worker.counters

    @ray.method(concurrency_group="control")
    def stop(self) -> None:
        self._worker.stop()


@dataclass
class _Handle:
    """The driver's view of a worker.

    Attributes:
        actor: its Ray handle.
        waiting: reference that resolves when its start-up or its unit is done.
        starting: whether `waiting` is the start-up.
        poll: reference of the last query of its counters, if it is not answered yet.
        seen: its last known counters.
        pid: its process id, once it has started.
        node: the address of its node, likewise.
    """

    actor: Any
    waiting: Any
    starting: bool = True
    poll: Any = None
    seen: Counters = field(default_factory=Counters)
    pid: int | None = None
    node: str = ""


class RayExecutor:
    """Runs workers as Ray actors.

    Args:
        config: configuration of the workers.
        workers: number of workers.
        cores: number of cores that a worker takes of a cluster.
        gpu_share: share of a GPU that a worker takes, 0 for the CPU.
        address: address of a running cluster; None starts one on this machine, on loopback only.
        gpus: number of GPUs of a cluster that is started here.
        preload: modules that the processes of a cluster started here import while Ray itself is
            still starting, so that importing torch takes no extra time.
    """

    def __init__(
        self,
        config: WorkerConfig,
        *,
        workers: int,
        cores: int,
        gpu_share: float,
        gpus: int,
        address: str | None,
        preload: tuple[str, ...] = (),
    ) -> None:
        self._config = config
        self._handles: dict[WorkerId, _Handle] = {}
        self._next = 0
        self._polled = 0.0
        self._begun = False
        self._looked = time.monotonic()
        self._cluster = partial(
            connect, workers, gpus=gpus, address=address, threads=config.threads, preload=preload
        )
        self._is_shared = address is not None
        self._restarts = 0 if self._is_shared else RESTARTS
        self._cluster()
        remote: Any = ray.remote  # its type does not know concurrency groups
        self._actor_class = remote(
            # Our own cluster has one slot per worker: Ray starts a process for each in advance, and
            # each worker sets its own number of threads.
            num_cpus=1 if address is None else cores,
            num_gpus=gpu_share,
            max_restarts=0,
            max_task_retries=0,
            concurrency_groups={"control": 1},
        )(_Actor)

    def spawn(self) -> WorkerId:
        """Start an actor asynchronously; it answers when its network is loaded."""
        worker, self._next = self._next, self._next + 1
        actor = self._actor_class.remote(self._config)
        self._handles[worker] = _Handle(actor, waiting=actor.start.remote())
        return worker

    def submit(self, worker: WorkerId, unit: WorkUnit, part: pa.Table) -> None:
        """Send the paths of a unit to an actor."""
        handle = self._handles[worker]
        handle.seen, handle.poll = Counters(), None
        handle.waiting = handle.actor.run.remote(unit, part)

    def wait(self, timeout: float, *, tick: Tick) -> list[Event]:
        """Wait until an actor answers or dies."""
        by_ref = {h.waiting: w for w, h in self._handles.items() if h.waiting is not None}
        if not by_ref:
            time.sleep(min(timeout, 0.05))
            return []
        timeout = timeout if self._begun else min(timeout, FIRST_POLL_S)
        ready, _ = ray.wait(list(by_ref), num_returns=1, timeout=timeout, fetch_local=False)
        if ready:  # all that have answered by now
            ready, _ = ray.wait(list(by_ref), num_returns=len(by_ref), timeout=0)
        self._poll()
        if not ready:
            self._look_around()
        return [self._event(by_ref[ref], ref) for ref in ready]

    def counters(self, worker: WorkerId) -> Counters:
        """The counters that the actor reported last."""
        handle = self._handles.get(worker)
        return Counters() if handle is None else handle.seen

    def drain(self) -> None:
        """Tell busy actors to abandon their image; kill those that are still starting."""
        for worker, handle in list(self._handles.items()):
            if handle.starting:
                self.kill(worker)
            else:
                handle.actor.stop.remote()

    def kill(self, worker: WorkerId) -> None:
        """Kill an actor at once, so that it cannot hold its GPU or write any more."""
        handle = self._handles.pop(worker, None)
        if handle is not None:
            ray.kill(handle.actor, no_restart=True)

    def pids(self) -> list[int]:
        """Process ids of the workers that are ready."""
        return [h.pid for h in self._handles.values() if h.pid is not None]

    def close(self) -> None:
        """Kill all actors, disconnect, and stop the cluster if it was started here."""
        for worker in list(self._handles):
            self.kill(worker)
        ray.shutdown()

    def _event(self, worker: WorkerId, ref: Any) -> Event:
        handle = self._handles[worker]
        handle.waiting = None
        starting, handle.starting = handle.starting, False
        try:
            answer = ray.get(ref)
        except RayTaskError as error:
            return self._raised(worker, error, starting=starting)
        except RayError as error:
            # An unreachable actor may be alive behind a broken connection and hold its GPU: kill it
            # before another worker gets its unit.
            self.kill(worker)
            return Lost(worker, first_line(error))
        if starting:
            handle.pid, handle.node = answer
            return Ready(worker)
        handle.seen, handle.poll = Counters(), None
        return Done(worker, answer)

    def _raised(self, worker: WorkerId, error: RayTaskError, *, starting: bool) -> Event:
        cause = error.cause if isinstance(error.cause, MagenetError) else None
        if cause is None:
            cause = JobError(f"A worker failed: {_last_line(error)}.")
        if starting:
            self.kill(worker)
            return Lost(worker, str(cause), cause)
        if self._is_shared:  # nodes can differ in their disks and mounts
            cause.args = (f"On the node {self._handles[worker].node}: {cause}",)
        return Broken(worker, cause)

    def _look_around(self) -> None:
        """Check every few seconds, while nothing answers, that there is still a node for workers.

        A cluster that was started here is restarted together with its workers; otherwise starting
        actors would wait for ever.

        Raises:
            JobError: every node is gone, and either repeatedly or in a cluster that is not ours.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_S or not all(h.starting for h in self._handles.values()):
            return
        self._looked = now
        try:
            nodes = ray.nodes()  # type: ignore[no-untyped-call]
            alive = any(node["Alive"] for node in nodes)
        except (RayError, RuntimeError, OSError):
            alive = False
        if alive:
            return
        if not self._restarts:
            raise JobError(
                "Ray stopped unexpectedly and all workers were lost. Finished images are kept: "
                "re-run the same command to resume."
            )
        self._restarts -= 1
        ray.shutdown()
        self._cluster()
        for handle in self._handles.values():
            handle.actor = self._actor_class.remote(self._config)
            handle.waiting = handle.actor.start.remote()

    def _poll(self) -> None:
        """Query the counters of busy actors once a second, without waiting for answers."""
        now = time.monotonic()
        if now - self._polled < (POLL_S if self._begun else FIRST_POLL_S):
            return
        self._polled = now
        busy = [h for h in self._handles.values() if h.waiting is not None and not h.starting]
        asked = {h.poll: h for h in busy if h.poll is not None}
        answered = ray.wait(list(asked), num_returns=len(asked), timeout=0)[0] if asked else []
        for ref in answered:
            handle = asked[ref]
            handle.poll = None
            try:
                handle.seen = ray.get(ref)
            except RayError:
                continue  # the answer of its unit will report the death
            self._begun = self._begun or handle.seen.images > 0
        for handle in busy:
            if handle.poll is None:
                handle.poll = handle.actor.counters.remote()


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
