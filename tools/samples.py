"""What a soaked process takes over time: for `soak.py` and `soak_watch.py`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil

GROWTH_MIB = 64.0
"""How much the second half of a job may take more memory than the first, beside its plan."""
_SHOWN = 200  # samples that a result keeps


class Samples:
    """Samples of a process.

    Args:
        done: counts the images that are done.
    """

    def __init__(self, done: Callable[[], int]) -> None:
        self._done = done
        self._began = time.monotonic()
        self._lines: list[list[float]] = []

    def take(self, pid: int) -> None:
        """Look at the process: seconds, images, MiB, open files, threads."""
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                found = [process.memory_info().rss / 2**20, process.num_fds(),
                         process.num_threads()]  # fmt: skip
        except psutil.NoSuchProcess:
            return
        self._lines.append([time.monotonic() - self._began, self._done(), *found])

    def result(self) -> dict[str, Any]:
        """What `judged` says, and some of the samples."""
        table = np.array(self._lines, np.float64).reshape(-1, 5)
        some = table[:: max(1, len(table) // _SHOWN)].round(1)
        return {**judged(table), "samples": some.tolist()}


def judged(table: np.ndarray) -> dict[str, Any]:
    """Rates, memory and handles at the beginning and at the end of the work.

    Args:
        table: (N, 5): seconds, images, MiB, open files, threads.
    """
    work = table[(table[:, 1] > 0) & (table[:, 1] < table[-1, 1])]
    if len(work) < 8:
        raise SystemExit("the job was too short to say anything")
    parts = {"first": work[: len(work) // 4], "last": work[-(len(work) // 4) :]}
    found: dict[str, Any] = {}
    for name, part in parts.items():
        span, images = part[-1] - part[0], part[:, 2:]
        found[f"{name}_quarter"] = {
            "images_per_s": float(span[1] / span[0]), "mib": float(np.median(images[:, 0])),
            "handles": int(images[:, 1].max()), "threads": int(images[:, 2].max()),
        }  # fmt: skip
    grown = found["last_quarter"]["mib"] - found["first_quarter"]["mib"]
    steady = found["last_quarter"]["handles"] <= found["first_quarter"]["handles"] + 2
    return found | {"peak_mib": float(table[:, 2].max()), "steady": bool(
        steady and grown < GROWTH_MIB
    )}  # fmt: skip
