"""How long restoring takes: weights beside a reference, in turns, the fastest counted."""

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
    """Of one image, the least of several runs; CPU seconds are those of all threads."""

    seconds: float
    cpu_seconds: float


def costs(
    restorers: list[Restorer], pixels: np.ndarray, fov: FieldOfView, *, times: int
) -> list[Cost]:
    """Time several restorers on one image in turns, so that other work disturbs all alike."""
    seconds: list[list[float]] = [[] for _ in restorers]
    cpu: list[list[float]] = [[] for _ in restorers]
    for turn in range(times + 1):
        for index, restorer in enumerate(restorers):
            start, used = time.perf_counter(), time.process_time()
            restorer(pixels, fov)
            if turn:  # the first one warms up
                seconds[index].append(time.perf_counter() - start)
                cpu[index].append(time.process_time() - used)
    return [Cost(min(s), min(c)) for s, c in zip(seconds, cpu, strict=True)]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Work with so many threads for a while."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
