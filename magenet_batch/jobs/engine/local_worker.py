"""A local worker process: a `Worker` behind two pipes.

It answers on its original standard output; nothing else may write there. Signals that a terminal or
scheduler sends to the whole group are left to the driver, which drains or kills the worker. When
the driver is gone, its end of the pipe closes and the process exits at once.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from magenet_batch.errors import JobError, MagenetError
from magenet_batch.jobs.work.worker import Counters, Outcome, Worker, WorkerConfig, WorkUnit


@dataclass(frozen=True)
class Begin:
    """Load the network; the first message to a process."""

    config: WorkerConfig


@dataclass(frozen=True)
class Run:
    """Process a unit, whose rows of the plan are included."""

    unit: WorkUnit
    part: pa.Table


@dataclass(frozen=True)
class Halt:
    """Abandon the image in the network, and answer."""


@dataclass(frozen=True)
class Started:
    """The network is loaded."""


@dataclass(frozen=True)
class Failure:
    """The start-up or a unit raised an error; after a failed unit the process is still usable."""

    error: MagenetError


Answer = Started | Counters | Outcome | Failure


def send(stream: BinaryIO, message: object) -> None:
    """Write one complete message."""
    stream.write(pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL))
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read one message.

    Raises:
        EOFError: the other side is gone.
    """
    try:
        return pickle.load(stream)  # from our own other process, never from a user's path
    except (pickle.UnpicklingError, OSError) as error:  # it died in the middle of a message
        raise EOFError from error


def main() -> None:
    """Serve the driver until it closes the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    asked = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the output of a library is not an answer
    Server(asked, answers).serve()


class Server:
    """Runs units one at a time, and receives messages while one is running.

    Args:
        asked: messages from the driver.
        answers: messages to the driver.
    """

    def __init__(self, asked: BinaryIO, answers: BinaryIO) -> None:
        self._asked, self._answers = asked, answers
        self._sending = threading.Lock()
        self._stop = threading.Event()
        self._work: queue.SimpleQueue[Begin | Run] = queue.SimpleQueue()

    def serve(self) -> None:
        """Load the network, then work until the process exits."""
        threading.Thread(target=self._hear, name="hear", daemon=True).start()
        begin = self._work.get()
        assert isinstance(begin, Begin), "the configuration comes first"
        try:
            worker = Worker(begin.config, stop=self._stop)
        except Exception as error:
            self._answer(Failure(_told(error)))
            return
        self._answer(Started())
        while True:
            run = self._work.get()
            assert isinstance(run, Run), "a process is begun once"
            self._answer(self._outcome(worker, run))

    def _outcome(self, worker: Worker, run: Run) -> Outcome | Failure:
        try:
            return worker.run(run.unit, run.part, on_image=lambda: self._answer(worker.counters))
        except Exception as error:
            return Failure(_told(error))

    def _answer(self, message: Answer) -> None:
        with self._sending:
            send(self._answers, message)

    def _hear(self) -> None:
        """Receive messages; exit as soon as the driver is gone, whatever is running."""
        while True:
            try:
                message = receive(self._asked)
            except EOFError:
                os._exit(0)
            if isinstance(message, Halt):
                self._stop.set()
            else:
                self._work.put(message)


def _told(error: Exception) -> MagenetError:
    """Convert an error to one that can be sent to the driver."""
    if isinstance(error, MagenetError):
        try:
            pickle.loads(pickle.dumps(error))
            return error
        except Exception:
            return JobError(str(error))
    return JobError(f"A worker failed: {type(error).__name__}: {error}.")


if __name__ == "__main__":
    sys.exit("it is started by magenet, not by hand")
