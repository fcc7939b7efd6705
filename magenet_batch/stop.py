"""Stopping what takes long: Ctrl-C and SIGTERM in two stages, or when its time is up."""

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
    """What can be told to stop: a `threading.Event` or a `Stop`."""

    def set(self) -> None:
        """Ask for the stop."""
        ...


class Stop:
    """Whether to save and end: asked for by a signal, or because time is up.

    Args:
        after: seconds from now; 0 for never.
    """

    def __init__(self, *, after: float = 0.0) -> None:
        self._asked = False
        self._at = time.monotonic() + after if after else math.inf

    def set(self) -> None:
        """Ask for the stop."""
        self._asked = True

    def is_set(self) -> bool:
        """True from the moment on that a stop is due."""
        return self._asked or time.monotonic() > self._at


@contextlib.contextmanager
def two_stage_stop(stop: Stoppable, *, say: Callable[[str], None], text: str) -> Iterator[None]:
    """Ask for a stop at the first signal, raise at the second.

    Args:
        stop: set at the first SIGINT or SIGTERM.
        say: told what happens.
        text: what it is told at the first signal.

    Raises:
        KeyboardInterrupt: at the second signal, inside the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals; others are stopped by their owner
        return
    signalled = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal signalled
        if signalled:
            raise KeyboardInterrupt
        signalled = True
        stop.set()
        with contextlib.suppress(RuntimeError):  # the signal came in the middle of a print
            say(text)

    before: dict[int, Any] = {}
    for number in (int(signal.SIGINT), int(signal.SIGTERM)):
        before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
