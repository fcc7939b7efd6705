"""Stop long-running work: two-stage Ctrl-C and SIGTERM, or a time limit."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Protocol


class Stoppable(Protocol):
    """Anything that can be told to stop: a `threading.Event` or a `Stop`."""

    def set(self) -> None:
        """Request the stop."""
        ...


class Stop:
    """A stop request, made by a signal or by a time limit.

    Args:
        after: time limit in seconds from now; 0 for no limit.
    """

    def __init__(self, *, after: float = 0.0) -> None:
        self._asked = False
        self._at = time.monotonic() + after if after else math.inf

    def set(self) -> None:
        """Request the stop."""
        self._asked = True

    def is_set(self) -> bool:
        """Whether a stop is due."""
        return self._asked or time.monotonic() > self._at


@contextlib.contextmanager
def two_stage_stop(stop: Stoppable, *, say: Callable[[str], None], text: str) -> Iterator[None]:
    """Request a stop at the first signal, and raise at the second.

    Args:
        stop: set at the first SIGINT or SIGTERM.
        say: called with `text` at the first signal.
        text: the message for the user.

    Raises:
        KeyboardInterrupt: at the second signal, inside the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals; elsewhere the owner of the thread stops it
        return
    signalled = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal signalled
        if signalled:
            raise KeyboardInterrupt
        signalled = True
        stop.set()
        with contextlib.suppress(RuntimeError):  # the signal arrived in the middle of a print
            say(text)

    before: dict[int, Any] = {}
    for number in (int(signal.SIGINT), int(signal.SIGTERM)):
        before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
