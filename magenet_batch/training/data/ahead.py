"""Batches of training data, by step, which other processes can prepare ahead."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

Batch = TypeVar("Batch")
_WAITING = 4  # batches that each process prepares ahead


class Ahead(Generic[Batch]):
    """Batches by step. Those of the next steps are prepared by other processes, if there are any.

    Args:
        make: makes the batch of a step, from nothing but its number, without a GPU; batches with a
            method `pin_memory` are copied to a GPU faster.
        loaders: number of processes; 0: each batch is made when it is needed.
    """

    def __init__(self, make: Callable[[int], Batch], *, loaders: int) -> None:
        self._make, self._loaders = make, loaders
        self._coming: Iterator[Batch] = iter(())
        self._next = -1

    def at(self, step: int) -> Batch:
        """The batch of a step; steps in sequence need not wait."""
        if not self._loaders:
            return self._make(step)
        if step != self._next:
            self._coming = self._started(step)
        self._next = step + 1
        return next(self._coming)

    def close(self) -> None:
        """End the processes."""
        self._coming = iter(())
        self._next = -1

    def _started(self, first: int) -> Iterator[Batch]:
        # Forked processes share the photographs in memory. They inherit OpenCV's pool without its
        # threads, and would wait for them: there must be none.
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        coming = iter(DataLoader(
            _Made(self._make), batch_size=None, sampler=range(first, sys.maxsize),
            num_workers=self._loaders, prefetch_factor=_WAITING, multiprocessing_context="fork",
            pin_memory=torch.cuda.is_available(), generator=torch.Generator(),
        ))  # fmt: skip
        cv2.setNumThreads(threads)
        return coming


class _Made(Dataset[Batch]):
    def __init__(self, make: Callable[[int], Batch]) -> None:
        self._make = make

    def __getitem__(self, step: int) -> Batch:
        return self._make(step)
