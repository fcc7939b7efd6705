"""The interface between the engine and whatever runs its workers, and the simplest executor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from magenet_batch.errors import MagenetError
from magenet_batch.jobs.work.worker import Counters, Outcome, Worker, WorkUnit

WorkerId = int
Tick = Callable[[], None]


@dataclass(frozen=True)
class Ready:
    """A worker has loaded its network and answered a ping; it can be given work."""

    worker: WorkerId


@dataclass(frozen=True)
class Done:
    """A worker has finished its unit."""

    worker: WorkerId
    outcome: Outcome


@dataclass(frozen=True)
class Broken:
    """A worker is alive, but could not do its unit for a reason that is not an image's fault."""

    worker: WorkerId
    error: MagenetError


@dataclass(frozen=True)
class Lost:
    """A worker is dead.

    Attributes:
        worker: the worker.
        message: what is known about its death.
        error: the error at start-up that caused it, if that was the cause.
    """

    worker: WorkerId
    message: str
    error: MagenetError | None = None


Event = Ready | Done | Broken | Lost


class Executor(Protocol):
    """Runs workers. It makes no decisions: the engine says when a worker starts or gets work."""

    def spawn(self) -> WorkerId:
        """Start a worker asynchronously; `Ready` or `Lost` follows."""
        ...

    def submit(self, worker: WorkerId, unit: WorkUnit, part: pa.Table) -> None:
        """Give a unit, with its rows of the plan, to a worker that is ready and idle."""
        ...

    def wait(self, timeout: float, *, tick: Tick) -> list[Event]:
        """Wait for events, at most `timeout` seconds; `tick` may be called in between."""
        ...

    def counters(self, worker: WorkerId) -> Counters:
        """Last known progress of a worker in its unit."""
        ...

    def drain(self) -> None:
        """Tell all workers to stop after the current image."""
        ...

    def kill(self, worker: WorkerId) -> None:
        """Kill a worker at once; no event follows."""
        ...

    def close(self) -> None:
        """Stop everything."""
        ...


class InlineExecutor:
    """One worker inside this process, for debugging, tests and very small machines.

    Args:
        make: makes the worker.
    """

    def __init__(self, make: Callable[[], Worker]) -> None:
        self._make = make
        self._worker: Worker | None = None
        self._events: deque[Event] = deque()
        self._work: tuple[WorkUnit, pa.Table] | None = None

    def spawn(self) -> WorkerId:
        """Load the network."""
        try:
            self._worker = self._make()
            self._events.append(Ready(0))
        except MagenetError as error:
            self._events.append(Lost(0, str(error), error))
        return 0

    def submit(self, worker: WorkerId, unit: WorkUnit, part: pa.Table) -> None:
        """Store the unit until `wait` runs it."""
        self._work = (unit, part)

    def wait(self, timeout: float, *, tick: Tick) -> list[Event]:
        """Run the submitted unit, if any."""
        if self._work is not None and self._worker is not None:
            unit, part = self._work
            self._work = None
            try:
                self._events.append(Done(0, self._worker.run(unit, part, on_image=tick)))
            except MagenetError as error:
                self._events.append(Broken(0, error))
        events = list(self._events)
        self._events.clear()
        return events

    def counters(self, worker: WorkerId) -> Counters:
        """Progress of the worker in its unit."""
        return Counters() if self._worker is None else self._worker.counters

    def drain(self) -> None:
        """Stop after the current image."""
        if self._worker is not None:
            self._worker.stop()

    def kill(self, worker: WorkerId) -> None:
        """Drop the worker."""
        self._worker = None

    def close(self) -> None:
        """Drop the worker."""
        self._worker = None
