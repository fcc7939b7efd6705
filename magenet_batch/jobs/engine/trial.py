"""Measure by trial how fast different numbers of workers are on this machine."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import simplejpeg

from magenet_batch.errors import JobError
from magenet_batch.jobs.engine.calibration import Rate
from magenet_batch.jobs.engine.executor import Broken, Done, Event, Lost, WorkerId
from magenet_batch.jobs.engine.local_executor import LocalExecutor
from magenet_batch.jobs.engine.machine import WORKER_BYTES, available_memory
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.plan import Plan, make_plan
from magenet_batch.jobs.work.enhancers import EnhancerFactory
from magenet_batch.jobs.work.worker import WorkerConfig, WorkUnit
from magenet_batch.phantom import make_phantom
from magenet_batch.randomness import generator

_IMAGES, _KINDS = 24, 4
_SIZE = 768  # pixels: the network sees larger photographs at about this size
_GRAIN = 8.0  # levels of 255: the stage that removes noise works too
_SECONDS = 3.0  # of each number of workers, after its start
_INTERVALS = 3  # between images of each worker, at least
_PATIENCE_S = 120.0
_TICK_S = 0.02


def numbers_to_try(cpus: int, *, most: int) -> list[int]:
    """Numbers of workers: one per core (the default), half and a quarter as many.

    Args:
        cpus: number of cores.
        most: number of workers that memory allows.
    """
    return sorted({max(1, min(most, cpus // share)) for share in (1, 2, 4)}, reverse=True)


def measure_rates(
    factory: EnhancerFactory, *, cpus: int, seconds: float = _SECONDS
) -> tuple[Rate, ...]:
    """Enhance noisy phantoms with different numbers of workers, which divide the cores.

    The workers are child processes that do what a job's workers do. Images and outputs are in a
    temporary folder, which is deleted.

    Args:
        factory: makes the enhancer; it must be one that a plain process can import.
        cpus: number of cores.
        seconds: duration of each measurement, without the start of its workers.

    Returns:
        Rates, that of the largest number of workers first.

    Raises:
        JobError: a worker died, failed or did not make progress.
    """
    most = max(1, available_memory() // WORKER_BYTES)
    with tempfile.TemporaryDirectory(prefix="magenet-calibration-") as folder:
        archive = Path(folder) / "archive"
        _write_phantoms(archive)
        options = JobOptions(
            archive=(str(archive),), out=f"{folder}/out", policy="all", shard_size=_IMAGES
        )  # fmt: skip
        plan = make_plan(options)
        found = []
        for workers in numbers_to_try(cpus, most=most):
            threads = max(1, cpus // workers)
            config = WorkerConfig(
                out=options.out, factory=factory, device="cpu", threads=threads,
                image_options=options.image_options,
            )  # fmt: skip
            rate = _Trial(config, plan, workers=workers).rate(seconds=seconds)
            found.append(Rate(workers=workers, threads=threads, images_per_second=rate))
    return tuple(found)


def _write_phantoms(folder: Path) -> None:
    folder.mkdir()
    coded = []
    for seed in range(_KINDS):
        pixels = make_phantom(seed, size=_SIZE).pixels
        noise = generator(seed, "calibration", 0).normal(0, _GRAIN, pixels.shape)
        grainy = np.clip(pixels + noise * (pixels > _GRAIN), 0, 255).astype(np.uint8)
        coded.append(simplejpeg.encode_jpeg(grainy, quality=92))
    for index in range(_IMAGES):
        (folder / f"{index:02d}.jpg").write_bytes(coded[index % _KINDS])


class _Trial:
    """Some workers that do the same unit again and again.

    Args:
        config: configuration of the workers.
        plan: the images.
        workers: number of workers.
    """

    def __init__(self, config: WorkerConfig, plan: Plan, *, workers: int) -> None:
        self._unit = WorkUnit(0, tuple(range(len(plan))), whole=False)
        self._part = plan.slice(0, self._unit.positions)
        self._executor = LocalExecutor(config)
        self._starting = workers
        self._marks: dict[WorkerId, list[float]] = {}
        self._before: dict[WorkerId, int] = {}

    def rate(self, *, seconds: float) -> float:
        """Images per second of all workers together, each from its first image to its last."""
        patient_until = time.monotonic() + _PATIENCE_S
        try:
            for _ in range(self._starting):
                worker = self._executor.spawn()
                self._marks[worker], self._before[worker] = [], 0
            while not self._enough(seconds):
                for event in self._executor.wait(_TICK_S, tick=lambda: None):
                    self._take(event)
                self._count(time.monotonic())
                if time.monotonic() > patient_until:
                    raise JobError(
                        f"The workers took more than {_PATIENCE_S:.0f} s. Measure on an idle "
                        "machine: run `magenet doctor --calibrate`."
                    )
        finally:
            self._executor.close()
        return sum((len(times) - 1) / (times[-1] - times[0]) for times in self._marks.values())

    def _take(self, event: Event) -> None:
        """Begin when all workers are ready; give a worker that is done the same unit again."""
        if isinstance(event, Lost):
            raise JobError(event.message)
        if isinstance(event, Broken):
            raise JobError(str(event.error))
        if isinstance(event, Done):
            self._before[event.worker] += event.outcome.counters.images
            self._executor.submit(event.worker, self._unit, self._part)
            return
        self._starting -= 1
        for worker in self._marks if not self._starting else ():
            self._executor.submit(worker, self._unit, self._part)

    def _count(self, now: float) -> None:
        for worker, times in self._marks.items():
            count = self._before[worker] + self._executor.counters(worker).images
            times.extend([now] * (count - len(times)))

    def _enough(self, seconds: float) -> bool:
        return all(
            len(times) > _INTERVALS and times[-1] - times[0] >= seconds
            for times in self._marks.values()
        )
