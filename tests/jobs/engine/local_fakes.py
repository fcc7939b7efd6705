"""Enhancers that a plain process can import: calm, slow, and deadly ones."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

from jobs_fakes import FakeEnhancer

from magenet_batch.errors import WeightsError


class Deadly(FakeEnhancer):
    """Kills its process: once for images of 80 px, every time for those of 64 px."""

    def __init__(self, marker: str) -> None:
        self.marker = Path(marker)

    def enhance(self, pixels, fov, *, cancelled=lambda: False):
        if pixels.shape[0] == 64:
            os.kill(os.getpid(), signal.SIGSEGV)
        if pixels.shape[0] == 80 and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().enhance(pixels, fov)


class Slow(FakeEnhancer):
    """Takes its time, and prints what nobody should read."""

    def __init__(self, pause: float) -> None:
        self.pause = pause

    def enhance(self, pixels, fov, *, cancelled=lambda: False):
        print("a library talks", flush=True)
        time.sleep(self.pause)
        return super().enhance(pixels, fov)


def deadly(device: str, threads: int, *, marker: str) -> Deadly:
    return Deadly(marker)


def slow(device: str, threads: int, *, pause: float) -> Slow:
    return Slow(pause)


def broken(device: str, threads: int) -> FakeEnhancer:
    raise WeightsError("these weights are of another network")


def dies_at_once(device: str, threads: int) -> FakeEnhancer:
    os._exit(9)


def deadly_with(marker: Path) -> partial[Deadly]:
    return partial(deadly, marker=str(marker))
