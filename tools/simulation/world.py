"""Time, and what happens in it: one queue of events, and processes that wait for them.

Every process runs the true code of the job in a greenlet, and gives up control only where it waits:
for a request, a sleep or an event. So a seed decides the order of everything.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable

from greenlet import getcurrent, greenlet

FOREVER = float("inf")


class Killed(BaseException):
    """Raised where a killed process waits; nothing that it does afterwards has an effect."""


class World:
    """The clock and the queue.

    Args:
        seed: decides all delays.
    """

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.now = 0.0
        self.steps = 0
        self.after_step: Callable[[], None] = lambda: None
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.outside = getcurrent()
        self._tokens = itertools.count(1)

    def random(self, name: str) -> random.Random:
        """Random numbers that depend on the seed and a name, and on nothing else."""
        return random.Random(f"{self.seed}/{name}")

    def token(self) -> str:
        """A name that no other has."""
        return f"{next(self._tokens):032x}"

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something after some seconds."""
        heapq.heappush(self._queue, (self.now + seconds, next(self._order), action))

    def run(self, until: float = FOREVER) -> None:
        """Let time pass until nothing happens any more, or up to a moment."""
        while self._queue and self._queue[0][0] <= until:
            self.now, _, action = heapq.heappop(self._queue)
            action()
        if until < FOREVER:
            self.now = max(self.now, until)

    def step(self) -> None:
        """Count that something happened: a message arrived, a process went on, a fault struck."""
        self.steps += 1
        self.after_step()


class Process:
    """A process on a host, with its threads.

    Args:
        world: the world.
        host: name of the host.
        pauses: the hosts that are stopped, with the time when they continue.
    """

    def __init__(self, world: World, host: str, pauses: dict[str, float]) -> None:
        self.world, self.host = world, host
        self.pid = int(world.token(), 16)
        self.dead = False
        self.random = world.random(f"process {self.pid}")
        self.at_death: list[Callable[[], None]] = []
        self._pauses = pauses
        self._tasks: set[Task] = set()

    def start(self, function: Callable[[], None]) -> Task:
        """Start a thread."""
        task = Task(self, function)
        self._tasks.add(task)
        self.world.later(0.0, task.go_on)
        return task

    def ended(self, task: Task) -> None:
        """A thread has ended."""
        self._tasks.discard(task)

    def kill(self) -> None:
        """End all threads at once, where they wait."""
        if self.dead:
            return
        self.dead = True
        for task in list(self._tasks):
            self.world.later(0.0, task.go_on)
        for action in self.at_death:
            action()

    @property
    def stopped_until(self) -> float:
        """When its host goes on; in the past if it is not stopped."""
        return self._pauses.get(self.host, 0.0)

    def waker(self) -> Callable[[], None]:
        """What lets the current thread, which is about to wait, continue; once."""
        task = self.current()
        used: list[bool] = []

        def wake() -> None:
            if not used:
                used.append(True)
                task.go_on()

        return wake

    def sleep(self, seconds: float) -> None:
        """Let time pass, in one of its threads."""
        self.world.later(seconds, self.waker())
        self.wait()

    def wait(self) -> None:
        """Give up control until the current thread is told to continue.

        Raises:
            Killed: the process is dead.
        """
        self.world.outside.switch()
        if self.dead:
            raise Killed

    def current(self) -> Task:
        """The thread that runs now.

        Raises:
            Killed: the process is dead.
        """
        if self.dead:
            raise Killed
        task = getcurrent()
        assert isinstance(task, Task)
        return task


class Task(greenlet):
    """A thread of a process."""

    def __init__(self, process: Process, function: Callable[[], None]) -> None:
        super().__init__(self._work, process.world.outside)
        self._process, self._function = process, function

    def _work(self) -> None:
        try:
            if not self._process.dead:
                self._function()
        except Killed:
            pass
        finally:
            self._process.ended(self)

    def go_on(self) -> None:
        """Let the thread run, as soon as its host does."""
        world = self._process.world
        pause = self._process.stopped_until - world.now
        if pause > 0 and not self._process.dead:
            world.later(pause, self.go_on)
        elif not self.dead:
            self.switch()
            world.step()
