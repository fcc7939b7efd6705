"""Photographs from JPEG to JPEG through the function that workers call, for `gpu.py`."""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import torch
from gpu_network import photograph

from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.plan import Task
from magenet_batch.jobs.work.process import ImageProcessor
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.weights import save_weights

ALL = JobOptions(
    archive=("none",), policy="all", policy_set=("seen=0", "invented=1", "area=0")
).image_options
"""Enhance, measure and deliver every image, whatever an untrained network makes of it."""
_IMAGES = 4  # different ones, again and again
_CASES = (
    ("small", "native", "threads", 1), ("small", "native", "threads", 4),
    ("small", "small", "threads", 1), ("small", "small", "threads", 4),
    ("base", "native", "threads", 1), ("base", "native", "threads", 4),
    ("small", "native", "processes", 4), ("small", "small", "processes", 4),
    ("small", "native", "threads", 2), ("small", "native", "threads", 8),
    ("small", "small", "threads", 2), ("small", "small", "threads", 8),
    ("base", "small", "threads", 4), ("base", "native", "processes", 4),
    ("small", "native", "processes", 8), ("small", "small", "processes", 8),
)  # fmt: skip
"""Network, photographs, and what there are several of, the most interesting first."""
_START = 40.0  # seconds that processes take to start, at most


def archive(folder: Path, *, size: int, images: int) -> list[Task]:
    """Slightly noisy phantoms as JPEG."""
    folder.mkdir(parents=True)
    tasks = []
    for index in range(images):
        path = folder / f"{index}.jpg"
        cv2.imwrite(str(path), photograph(size, seed=index)[..., ::-1])
        tasks.append(Task(f"{size}/{index}.jpg", str(path), f"images/{size}/{index}.jpg"))
    return tasks


def processor(weights: str, device: str, out: Path) -> ImageProcessor:
    """What a worker of a job has."""
    enhancer = Enhancer.load(weights, device=device, threads=1)
    return ImageProcessor(enhancer, out=out, image_options=ALL)


def pipeline(worker: ImageProcessor, tasks: Iterator[Task], *, threads: int, end: float) -> float:
    """Read, restore, and measure and write with this many threads on each side: images/s."""
    with ThreadPoolExecutor(threads) as readers, ThreadPoolExecutor(threads) as writers:
        reading = deque(readers.submit(worker.load, t) for t in islice(tasks, 2 * threads))
        writing = deque([writers.submit(worker.finish, worker.compute(reading.popleft().result()))])
        writing.popleft().result()
        start, count = time.perf_counter(), 0
        while time.perf_counter() < end or count < threads:
            reading.append(readers.submit(worker.load, next(tasks)))
            writing.append(
                writers.submit(worker.finish, worker.compute(reading.popleft().result()))
            )
            if len(writing) > 2 * threads:
                _checked(writing.popleft().result())
                count += 1
        return count / (time.perf_counter() - start)


def _checked(row: dict[str, Any]) -> None:
    if row["status"] != "enhanced":
        raise RuntimeError(f"not enhanced: {row['reason']}")


def steps(worker: ImageProcessor, task: Task) -> dict[str, float]:
    """Milliseconds of each step of one image, by itself."""
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


def _one_of_many(
    weights: str, device: str, out: str, tasks: list[Task], seconds: float, ready: Any, rates: Any
) -> None:
    """A process with its own network: starts when all are ready, and tells its rate."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    worker = processor(weights, device, Path(out))
    worker.process(tasks[0])
    ready.wait()
    end = time.perf_counter() + seconds
    rates.put(pipeline(worker, cycle(tasks), threads=1, end=end))


def together(
    weights: str, device: str, out: Path, tasks: list[Task], *, processes: int, seconds: float
) -> float:
    """Images/s of several processes that share the device, as workers of a job do."""
    context = multiprocessing.get_context("spawn")
    ready, rates = context.Barrier(processes), context.SimpleQueue()
    given = (weights, device, str(out), tasks, seconds, ready, rates)
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
    networks: dict[str, Restorer], device: torch.device, told: argparse.Namespace, end: float
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
        tasks = {k: archive(folder / k, size=s, images=_IMAGES) for k, s in sides.items()}
        workers: dict[str, ImageProcessor] = {}
        for index, (n, which, kind, count) in enumerate(_CASES):
            left = end - time.perf_counter()
            if left <= 0 and index:
                break
            seconds = min(2.0, max(left, 0.0) / (len(_CASES) - index))
            label, given = f"{n}, {sides[which]} px", tasks[which]
            if kind == "processes":
                rate = together(
                    weights[n], told.device, folder / "out", given,
                    processes=count, seconds=seconds,
                )  # fmt: skip
            else:
                if n not in workers:
                    workers[n] = processor(weights[n], told.device, folder / "out")
                if count == 1:
                    found[f"{label}, steps (ms)"] = steps(workers[n], given[0])
                stop = time.perf_counter() + seconds
                rate = pipeline(workers[n], cycle(given), threads=count, end=stop)
            found[f"{label}, {kind} {count}"] = {"images_per_second": rate}
    return found
