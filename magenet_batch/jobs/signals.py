"""Ctrl-C and SIGTERM in two stages: drain, then stop."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


@contextlib.contextmanager
def two_stage_stop(stop: threading.Event, *, say: Callable[[str], None]) -> Iterator[None]:
    """Set an event at the first signal, raise at the second.

    Args:
        stop: set at the first SIGINT or SIGTERM.
        say: told what happens.

    Raises:
        KeyboardInterrupt: at the second signal, inside the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals; others are stopped by their owner
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        with contextlib.suppress(RuntimeError):  # the signal came in the middle of a print
            say("stopping: images in work are finished; once more stops at once")

    before: dict[int, Any] = {}
    for number in (int(signal.SIGINT), int(signal.SIGTERM)):
        before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
