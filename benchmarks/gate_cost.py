"""Duration of restoring, alternating between weights and a reference; the fastest run counts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch

from magenet_batch.imaging.fov import FieldOfView

if TYPE_CHECKING:
    from gate_bench import Restorer


class Cost(NamedTuple):
    """Cost of one image, the minimum of several runs; CPU seconds are the sum over all threads.

    Attributes:
        seconds: wall time.
        cpu_seconds: CPU time.
    """

    seconds: float
    cpu_seconds: float


def costs(
    restorers: list[Restorer], pixels: np.ndarray, fov: FieldOfView, *, times: int
) -> list[Cost]:
    """Time several restorers on one image in turns, so that other work affects all equally."""
    seconds = np.zeros((times, len(restorers)))
    cpu = np.zeros((times, len(restorers)))
    for restorer in restorers:
        restorer(pixels, fov)  # warms up
    for turn in range(times):
        order = range(len(restorers))
        for index in reversed(order) if turn % 2 else order:
            start, used = time.perf_counter(), time.process_time()
            restorers[index](pixels, fov)
            seconds[turn, index] = time.perf_counter() - start
            cpu[turn, index] = time.process_time() - used
    return [Cost(float(s), float(c)) for s, c in zip(seconds.min(0), cpu.min(0), strict=True)]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Use this number of threads inside the block."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
