"""Read files without waiting for ever: a server behind a mounted folder may not respond."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from magenet_batch.errors import ImageError, StorageError

READ_TIMEOUT_S = 600.0
"""Longest time for reading one file; a file may have to come from a tape."""
PROBE_TIMEOUT_S = 60.0
"""Longest time for asking a file system how full it is; one that needs longer does not respond."""
Result = TypeVar("Result")


class _Answer:
    """What a thread brings back."""

    def __init__(self) -> None:
        self.value: object = None
        self.error: BaseException | None = None


def within(seconds: float, work: Callable[[], Result]) -> Result:
    """Do work in a thread of its own, which is abandoned if it takes too long.

    Args:
        seconds: the longest time.
        work: the work; it must leave nothing half-done when it is abandoned.

    Raises:
        TimeoutError: it takes longer.
    """
    answer = _Answer()

    def run() -> None:
        try:
            answer.value = work()
        except BaseException as error:
            answer.error = error

    thread = threading.Thread(target=run, name="patience", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError
    if answer.error is not None:
        raise answer.error
    return answer.value  # type: ignore[return-value]


def read_patiently(path: Path, read: Callable[[], bytes]) -> bytes:
    """Read a file, unless that takes longer than any disk needs.

    Args:
        path: the file.
        read: reads it.

    Raises:
        StorageError: `persistent`: the file system does not respond, so the job ends.
        ImageError: `unreadable`: the file system responds, only this file does not come.
    """
    try:
        return within(READ_TIMEOUT_S, read)
    except TimeoutError:
        pass
    try:
        within(PROBE_TIMEOUT_S, lambda: _probe(path.parent))
    except TimeoutError:
        raise StorageError(
            f"{path.parent} does not respond: an image could not be read in "
            f"{READ_TIMEOUT_S:.0f} s. Check the mount, then re-run the same command to resume.",
            persistent=True,
        ) from None
    raise ImageError("unreadable", f"reading it takes longer than {READ_TIMEOUT_S:.0f} s")


def _probe(folder: Path) -> None:
    try:
        os.statvfs(folder)
    except (OSError, AttributeError):
        return  # an answer all the same
