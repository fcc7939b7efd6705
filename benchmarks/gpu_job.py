"""Photographs from JPEG to JPEG through a job's own worker, for `gpu.py`.

    python benchmarks/gpu_job.py --sleep 25 -o benchmarks/results/gpu_threads.json

By itself, it measures on any machine what threads that read and write are worth, and whether the
interpreter's lock stops them: in place of a network, the worker sleeps.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from gpu_network import photograph

from magenet_batch.inference.enhancer import Enhancement, Enhancer
from magenet_batch.jobs.engine.machine import cpu_count
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.plan import Plan, make_plan, tasks_of
from magenet_batch.jobs.work.enhancers import EnhancerFactory
from magenet_batch.jobs.work.process import ImageProcessor
from magenet_batch.jobs.work.worker import Worker, WorkerConfig, WorkUnit
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.weights import save_weights
from magenet_batch.processor import cpu_model

_IMAGES = 4  # different ones, again and again
_LINKS = 128  # names that each of them has
_LEAST = 3  # finished images that are worth a rate


class Rate(NamedTuple):
    """Images per second, and the number of cores that the process kept busy meanwhile."""

    images_per_second: float
    busy_cores: float


class Case(NamedTuple):
    """A network, photographs, threads that read (as many write), batches, and processes."""

    network: str
    photographs: str
    readers: int
    batch: int
    processes: int = 1

    @property
    def text(self) -> str:
        """Threads, batches and processes in words."""
        return f"{self.readers} to read, batches of {self.batch}, {self.processes} workers"


_CASES = (
    Case("small", "native", 1, 1), Case("small", "native", 8, 8),
    Case("small", "small", 1, 1), Case("small", "small", 8, 8),
    Case("base", "native", 1, 1), Case("base", "native", 8, 8),
    Case("small", "native", 2, 8, processes=4), Case("small", "small", 2, 8, processes=4),
    Case("small", "native", 8, 1), Case("small", "small", 8, 1),
    Case("small", "native", 4, 8), Case("small", "small", 4, 8),
    Case("small", "small", 8, 32), Case("base", "small", 8, 8),
    Case("small", "native", 4, 8, processes=2), Case("small", "small", 4, 8, processes=2),
)  # fmt: skip
"""The most interesting first: what jobs did, and what they do now with 16 cores."""
_START = 40.0  # seconds that processes take to start, at most


def archive(folder: Path, *, size: int) -> Plan:
    """Slightly noisy phantoms as JPEG, each under many names: a job that does not end soon."""
    folder.mkdir(parents=True)
    for index in range(_IMAGES):
        first = folder / f"000-{index}.jpg"
        cv2.imwrite(str(first), photograph(size, seed=index)[..., ::-1])
        for link in range(1, _LINKS):
            os.link(first, folder / f"{link:03d}-{index}.jpg")
    return make_plan(options(folder, folder.parent / "out"))


def options(folder: Path, out: Path) -> JobOptions:
    """Enhance, measure and deliver every image, whatever an untrained network makes of it."""
    return JobOptions(
        archive=(str(folder),), out=str(out), policy="all", shard_size=_IMAGES * _LINKS,
        policy_set=("seen=0", "invented=1", "area=0"),
    )  # fmt: skip


def loaded(device: str, threads: int, *, weights: str) -> Enhancer:
    """What the workers of a job load."""
    return Enhancer.load(weights, device=device, threads=threads)


def config(case: Case, factory: EnhancerFactory, device: str, out: Path) -> WorkerConfig:
    """A worker with the threads and batches of a case, as `WorkerAllocation` has them on a GPU."""
    alone = case.readers == case.batch == 1
    return WorkerConfig(
        out=str(out), factory=factory, device=device, threads=1,
        image_options=options(out, out).image_options,
        readers=case.readers, batch=case.batch, ahead=1 if alone else 2 * case.readers,
    )  # fmt: skip


def rate(how: WorkerConfig, plan: Plan, *, seconds: float, most: int | None = None) -> Rate:
    """Speed of a worker from its first finished image on.

    Args:
        how: configuration of the worker.
        plan: the images.
        seconds: duration after the first image; a few images are finished in any case.
        most: number of images after which to stop; None: only the time counts.
    """
    stop = threading.Event()
    worker = Worker(how, stop=stop)
    done: list[tuple[float, float]] = []

    def finished() -> None:
        done.append((time.perf_counter(), time.process_time()))
        over = done[-1][0] - done[0][0] >= seconds or len(done) == most
        if over and len(done) >= _LEAST:
            stop.set()

    unit = WorkUnit(0, tuple(range(len(plan))), whole=False)
    worker.run(unit, plan.slice(0, unit.positions), on_image=finished)
    if worker.counters.failed:
        raise RuntimeError(f"{worker.counters.failed} images failed")
    counted = done[:most] if most else [m for m in done if m[0] - done[0][0] <= seconds]
    counted = counted if len(counted) >= _LEAST else done
    elapsed, used = (last - first for first, last in zip(counted[0], counted[-1], strict=True))
    return Rate((len(counted) - 1) / elapsed, used / elapsed)


def steps(how: WorkerConfig, plan: Plan) -> dict[str, float]:
    """Milliseconds of each step of one image, by itself."""
    assert how.factory is not None
    enhancer = how.factory(how.device, how.threads)
    worker = ImageProcessor(enhancer, out=Path(how.out), image_options=how.image_options)
    task = tasks_of(plan.slice(0, (0,)))[0]
    worker.process(task)
    marks = [time.perf_counter()]
    work = worker.load(task)
    marks.append(time.perf_counter())
    work = worker.compute(work)
    marks.append(time.perf_counter())
    worker.finish(work)
    marks.append(time.perf_counter())
    names = ("read and measure", "restore", "measure and write")
    return {n: 1000 * (b - a) for n, a, b in zip(names, marks, marks[1:], strict=False)}


def _one_of_many(how: WorkerConfig, plan: Plan, seconds: float, ready: Any, rates: Any) -> None:
    """A process with its own network: starts when all are ready, and tells its rate."""
    assert how.factory is not None
    enhancer = how.factory(how.device, how.threads)
    task = tasks_of(plan.slice(0, (0,)))[0]
    ImageProcessor(enhancer, out=Path(how.out), image_options=how.image_options).process(task)
    ready.wait()
    again = WorkerConfig(**{**vars(how), "factory": lambda device, threads: enhancer})
    rates.put(rate(again, plan, seconds=seconds).images_per_second)


def together(how: WorkerConfig, plan: Plan, *, processes: int, seconds: float) -> float:
    """Images/s of several processes that share the device, as workers of a job do."""
    context = multiprocessing.get_context("spawn")
    ready, rates = context.Barrier(processes), context.SimpleQueue()
    given = (how, plan, seconds, ready, rates)
    running = [context.Process(target=_one_of_many, args=given) for _ in range(processes)]
    for one in running:
        one.start()
    for one in running:
        one.join(_START + 3 * seconds)
    failed = [one for one in running if one.exitcode != 0]
    for one in failed:
        one.kill()
    if failed:
        raise RuntimeError(f"{len(failed)} of {processes} processes did not finish")
    return sum(rates.get() for _ in running)


def jobs(
    networks: dict[str, Restorer], device: Any, told: argparse.Namespace, end: float
) -> dict[str, Any]:
    """Images per second from JPEG to JPEG: both sizes of photographs and of networks.

    Args:
        networks: the networks by name; all of their stages run.
        device: the device.
        told: the arguments of `gpu.py`.
        end: when to stop, by `time.perf_counter`.
    """
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = {n: str(folder / f"{n}.safetensors") for n in networks}
        for n, network in networks.items():
            save_weights(network, Path(weights[n]), name=n, notes={})
        sides = {"native": told.native, "small": told.sizes[-1]}
        plans = {k: archive(folder / k / "in", size=s) for k, s in sides.items()}
        for index, case in enumerate(_CASES):
            left = end - time.perf_counter()
            if left <= 0 and index:
                break
            seconds = min(3.0, max(left, 0.0) / (len(_CASES) - index))
            plan = plans[case.photographs]
            load = partial(loaded, weights=weights[case.network])
            how = config(case, load, str(device), folder / case.photographs / "out")
            label = f"{case.network}, {sides[case.photographs]} px"
            if case.processes > 1:
                images = together(how, plan, processes=case.processes, seconds=seconds)
            else:
                if case.readers == 1:
                    found[f"{label}, steps (ms)"] = steps(how, plan)
                images = rate(how, plan, seconds=seconds).images_per_second
            found[f"{label}, {case.text}"] = {"images_per_second": images}
    return found


class Asleep:
    """In place of a network: sleeps for every image, and makes it a little brighter."""

    weights_name, weights_hash = "asleep", "0" * 16

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def enhance(self, pixels: np.ndarray, fov: Any, *, cancelled: Any) -> Enhancement:
        """Sleep, and brighten."""
        time.sleep(self._seconds)
        vessels = np.full((512, 512), 0.5, np.float32)
        return Enhancement(cv2.convertScaleAbs(pixels, alpha=1.05), vessels, vessels)

    def enhance_many(
        self, images: Iterable[tuple[np.ndarray, Any]], *, cancelled: Any, each: Any
    ) -> list[Enhancement]:
        """The same for several."""
        return list(each(lambda image: self.enhance(*image, cancelled=cancelled), images))

    def vessels(self, pixels: np.ndarray, fov: Any) -> None:
        """No vessels."""


def threads(*, sides: list[int], counts: list[int], sleep: float, images: int) -> dict[str, Any]:
    """Images per second with different numbers of threads, in turn so that load falls on all.

    Args:
        sides: sides of the photographs, pixels.
        counts: numbers of threads that read, each with as many that write.
        sleep: seconds that the network takes for an image.
        images: number of images of each measurement.
    """
    found: dict[str, Any] = {
        "processor": cpu_model(), "cores": cpu_count(), "sleep_ms": 1000 * sleep, "rows": [],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        for side in sides:
            folder = Path(name) / str(side)
            plan = archive(folder / "in", size=side)
            for count in counts:
                case = Case("asleep", str(side), count, 1 if count == 1 else 8)
                how = config(case, lambda *_: Asleep(sleep), "cpu", folder / "out")
                measured = rate(how, plan, seconds=600.0, most=images)
                row = {"side": side, "readers": count, "batch": case.batch, **measured._asdict()}
                found["rows"].append(row)
                print(found["rows"][-1], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sleep", type=float, default=25, help="milliseconds for an image")
    parser.add_argument("--sides", type=int, nargs="+", default=[1024, 3456])
    parser.add_argument("--readers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("-o", "--output", type=Path)
    told = parser.parse_args()
    found = threads(
        sides=told.sides, counts=told.readers, sleep=told.sleep / 1000, images=told.images
    )
    if told.output:
        told.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
