"""Runs workers as child processes, for small jobs on one machine.

It gives the same guarantees as Ray workers (a crash costs a process, not the job), and starts in
the time that a process needs to import torch.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import pyarrow as pa

from magenet_batch.jobs.engine.executor import Broken, Done, Event, Lost, Ready, Tick, WorkerId
from magenet_batch.jobs.engine.local_worker import (
    Answer,
    Begin,
    Failure,
    Halt,
    Run,
    Started,
    receive,
    send,
)
from magenet_batch.jobs.work.enhancers import EnhancerFactory
from magenet_batch.jobs.work.worker import Counters, Outcome, WorkerConfig, WorkUnit

_THREAD_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_KILLED_AFTER_S = 20.0


@dataclass
class _Child:
    """The driver's view of a worker.

    Attributes:
        process: the child process.
        starting: whether its network is still being loaded.
        busy: whether it has a unit.
        seen: its last known counters.
    """

    process: subprocess.Popen[bytes]
    starting: bool = True
    busy: bool = False
    seen: Counters = field(default_factory=Counters)


class LocalExecutor:
    """Runs each worker as a child process behind two pipes.

    Args:
        config: configuration of the workers; it must pickle, and its factory must be importable.
    """

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        self._children: dict[WorkerId, _Child] = {}
        self._next = 0
        self._answers: queue.SimpleQueue[tuple[WorkerId, Answer | None]] = queue.SimpleQueue()

    def spawn(self) -> WorkerId:
        """Start a process; it answers when its network is loaded."""
        worker, self._next = self._next, self._next + 1
        process = subprocess.Popen(
            _command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=_environment(self._config.threads, os.environ),
            start_new_session=True,  # a terminal's Ctrl-C is for the driver alone
        )  # fmt: skip
        self._children[worker] = _Child(process)
        threading.Thread(target=self._listen, args=(worker, process), daemon=True).start()
        self._send(worker, Begin(self._config))
        return worker

    def submit(self, worker: WorkerId, unit: WorkUnit, part: pa.Table) -> None:
        """Send the paths of a unit to a process."""
        child = self._children[worker]
        child.seen, child.busy = Counters(), True
        self._send(worker, Run(unit, part))

    def wait(self, timeout: float, *, tick: Tick) -> list[Event]:
        """Wait until a process answers, counts an image or dies."""
        events: list[Event] = []
        with contextlib.suppress(queue.Empty):
            self._take(self._answers.get(timeout=timeout), events)
            while True:  # all that have answered so far
                self._take(self._answers.get_nowait(), events)
        return events

    def counters(self, worker: WorkerId) -> Counters:
        """The counters that the process reported last."""
        child = self._children.get(worker)
        return Counters() if child is None else child.seen

    def drain(self) -> None:
        """Tell busy processes to abandon their image; kill those that are still starting."""
        for worker, child in list(self._children.items()):
            if child.starting:
                self.kill(worker)
            elif child.busy:
                self._send(worker, Halt())

    def kill(self, worker: WorkerId) -> None:
        """Kill a process at once, so that it cannot write any more."""
        child = self._children.pop(worker, None)
        if child is not None:
            child.process.kill()
            child.process.wait(_KILLED_AFTER_S)
            with contextlib.suppress(OSError):  # what it did not read no longer matters
                assert child.process.stdin is not None
                child.process.stdin.close()

    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [child.process.pid for child in self._children.values()]

    def close(self) -> None:
        """Kill all processes."""
        for worker in list(self._children):
            self.kill(worker)

    def _send(self, worker: WorkerId, message: object) -> None:
        stdin = self._children[worker].process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError):  # it is dead, and its missing answer will show that
            send(stdin, message)  # type: ignore[arg-type]

    def _listen(self, worker: WorkerId, process: subprocess.Popen[bytes]) -> None:
        """Queue the answers of a process, then None when it is gone. Runs in its own thread."""
        stdout = process.stdout
        assert stdout is not None
        try:
            while True:
                self._answers.put((worker, cast("Answer", receive(stdout))))  # type: ignore[arg-type]
        except EOFError:
            pass
        except Exception:  # the data are not a message: the process is no longer usable
            process.kill()
        process.wait()
        stdout.close()
        self._answers.put((worker, None))

    def _take(self, told: tuple[WorkerId, Answer | None], events: list[Event]) -> None:
        """Convert an answer to an event, unless it is only a count."""
        worker, answer = told
        child = self._children.get(worker)
        if child is None:
            return  # it was killed by us
        if isinstance(answer, Counters):
            child.seen = answer
            return
        starting, child.starting, child.busy = child.starting, False, False
        if answer is None:
            self.kill(worker)
            events.append(Lost(worker, _death(child.process.returncode)))
        elif isinstance(answer, Started):
            events.append(Ready(worker))
        elif isinstance(answer, Outcome):
            child.seen = Counters()
            events.append(Done(worker, answer))
        elif isinstance(answer, Failure) and starting:
            self.kill(worker)
            events.append(Lost(worker, str(answer.error), answer.error))
        elif isinstance(answer, Failure):
            events.append(Broken(worker, answer.error))


def travels(factory: EnhancerFactory | None) -> bool:
    """Whether a factory can be sent to a plain process: Ray supports more kinds of functions."""
    try:
        return b"__main__" not in pickle.dumps(factory)
    except Exception:  # whatever its own `__reduce__` raises
        return False


def _command() -> list[str]:
    """Command line of a child process, which finds modules exactly where this process does.

    It does not use `-m`, which would search the user's current folder first.
    """
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; "
        "from magenet_batch.jobs.engine.local_worker import main; main()"
    )
    return [sys.executable, "-c", code]


def _environment(threads: int, own: Mapping[str, str]) -> dict[str, str]:
    counts = dict.fromkeys(_THREAD_COUNTS, str(threads))
    return {"OMP_WAIT_POLICY": "PASSIVE", **own, **counts}  # reason: cli/main.py


def _death(code: int | None) -> str:
    """Describe how a process ended."""
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"
