"""The cost of the archive job in addition to the work itself: overhead, scaling, start, memory.

    python benchmarks/job.py [--images 60] [-o benchmarks/results/job.json]

On phantoms with the shipped weights, in one run: a bare loop over the function that workers call,
the job inline, the job with one worker and with two, and a pool of two processes as a user would
write it. A program with the machine to itself uses a thread for every core; "on one core" restricts
loop and job to the first core, with one thread, like each of the two workers. Rates are steady:
from the first finished image to the last, and so are CPU seconds an image, of this process and all
that it started: on a busy machine they are more reliable, and on one core they are the same. Ray's
workers get the normal priority, as all others have it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line sets it
os.environ.setdefault("RAY_worker_niceness", "0")

import cv2
import numpy as np
import psutil

from magenet_batch.jobs.engine.progress import SilentProgress
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.plan import Task, make_plan, tasks_of
from magenet_batch.jobs.run import load_enhancer, run_job
from magenet_batch.jobs.work.process import ImageProcessor
from magenet_batch.jobs.work.worker import Counters
from magenet_batch.models.catalog import read_weights_file
from magenet_batch.phantom import make_phantom

ALL = JobOptions(archive=("none",), policy="all").image_options
"""Enhance every image, whatever its grade."""


def used() -> float:
    """CPU seconds of this process and all that it started and that still run."""
    total = 0.0
    for one in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with suppress(psutil.Error):
            times = one.cpu_times()
            total += times.user + times.system
    return total


class Clock(SilentProgress):
    """Records when images were done."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.marks: list[tuple[float, int]] = []

    def update(self, done: Counters) -> None:
        """Record a time if there are more images than before."""
        if done.images and (not self.marks or done.images > self.marks[-1][1]):
            self.marks.append((time.perf_counter(), done.images))

    @property
    def first(self) -> float:
        """Seconds until the first image was done."""
        return self.marks[0][0] - self.began

    @property
    def rate(self) -> float:
        """Images per second from the first mark to the last."""
        (t0, n0), (t1, n1) = self.marks[0], self.marks[-1]
        return (n1 - n0) / (t1 - t0)


class Meter(Clock):
    """Records also what had been used when the first and the last image were done.

    Asking all processes what they used takes more than 10 ms: not after every image.
    """

    def __init__(self, images: int) -> None:
        super().__init__()
        self.images = images
        self.used: list[float] = []

    def update(self, done: Counters) -> None:
        """Record a time, and at both ends what had been used."""
        super().update(done)
        if self.marks and len(self.used) < (2 if done.images == self.images else 1):
            self.used.append(used())

    @property
    def cpu_per_image(self) -> float:
        """CPU seconds an image from the first mark to the last."""
        return (self.used[-1] - self.used[0]) / (self.marks[-1][1] - self.marks[0][1])


def make_archive(folder: Path, *, images: int, size: int) -> Path:
    """JPEGs of a few phantoms, rotated, so that drawing them costs little."""
    folder.mkdir(parents=True)
    phantoms = [make_phantom(seed, size=size).pixels for seed in range(4)]
    for index in range(images):
        pixels = np.rot90(phantoms[index % 4], index // 4 % 4)
        cv2.imwrite(str(folder / f"{index:04d}.jpg"), pixels[..., ::-1])
    return folder


@contextmanager
def held_to(cores: set[int]) -> Iterator[None]:
    """Restrict this thread, and processes that it starts, to some cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def bare_loop(tasks: list[Task], out: Path, *, cores: set[int]) -> tuple[float, float]:
    """A loop over the workers' own function, after one to warm up: images/s, CPU s an image."""
    cv2.setNumThreads(len(cores))
    processor = ImageProcessor(
        load_enhancer("cpu", len(cores), weights="small"), out=out, image_options=ALL
    )
    with held_to(cores):
        processor.process(tasks[0])
        start, before = time.perf_counter(), used()
        for task in tasks[1:]:
            processor.process(task)
        count = len(tasks) - 1
        return count / (time.perf_counter() - start), (used() - before) / count


_processor: ImageProcessor


def _begin(out: str) -> None:
    global _processor
    cv2.setNumThreads(1)
    _processor = ImageProcessor(
        load_enhancer("cpu", 1, weights="small"), out=Path(out), image_options=ALL
    )


def _work(task: Task) -> float:
    _processor.process(task)
    return time.perf_counter()


def process_pool(tasks: list[Task], out: Path, *, processes: int) -> float:
    """Images per second of what a user would write: a process pool and a map."""
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin, (str(out),)) as pool:
        marks = sorted(pool.map(_work, tasks))
    return (len(marks) - 1) / (marks[-1] - marks[0])


def job(archive: Path, out: Path, *, images: int, workers: int | None, cores: set[int]) -> Meter:
    """Run the job with a number of workers on some cores; None: local processes, one per core."""
    clock = Meter(images)
    options = JobOptions(
        archive=(str(archive),), out=str(out), workers=workers, gpus=0,
        policy="all",  # as the functions it is compared with
    )  # fmt: skip
    with held_to(cores):
        run_job(options, progress=clock)
    return clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    found: dict[str, object] = {"images": arguments.images, "size": arguments.size}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = make_archive(folder / "in", images=arguments.images, size=arguments.size)
        options = JobOptions(archive=(str(archive),), out=str(folder / "x"), workers=0, gpus=0)
        plan = make_plan(options)
        tasks = [
            task
            for shard in range(plan.shards)
            for task in tasks_of(plan.slice(shard, tuple(range(plan.shard_rows(shard)))))
        ]
        every = os.sched_getaffinity(0)
        one = {min(every)}
        rates, firsts, cpu = {}, {}, {}
        for label, cores in (("bare loop", every), ("bare loop on one core", one)):
            rates[label], cpu[label] = bare_loop(tasks, folder / label, cores=cores)
        jobs = (
            ("inline", 0, every), ("inline on one core", 0, one),
            ("one local process on one core", None, one),
            ("two local processes", None, every), ("one worker", 1, every),
            ("one worker on one core", 1, one),
            ("two workers", 2, every),
        )  # fmt: skip
        for label, workers, cores in jobs:
            clock = job(
                archive, folder / label, images=arguments.images, workers=workers, cores=cores
            )
            rates[label], firsts[label] = clock.rate, clock.first
            cpu[label] = clock.cpu_per_image
        rates["process pool of two"] = process_pool(tasks, folder / "pool", processes=2)
        pairs = (
            ("inline", "bare loop"), ("one worker", "bare loop"),
            ("inline on one core", "bare loop on one core"),
            ("one local process on one core", "bare loop on one core"),
            ("one worker on one core", "bare loop on one core"),
            ("two workers", "one worker"), ("two workers", "one worker on one core"),
            ("two workers", "process pool of two"),
            ("two local processes", "process pool of two"),
        )  # fmt: skip
        ratios = {f"{a} / {b}": rates[a] / rates[b] for a, b in pairs}
        print(f"{arguments.images} phantoms of {arguments.size} px, weights small\n")
        print("| | images/s | CPU s an image | first image after (s) |\n| --- | --- | --- | --- |")
        for label, rate in rates.items():
            first = f"{firsts[label]:.1f}" if label in firsts else "-"
            print(f"| {label} | {rate:.2f} | {cpu.get(label, float('nan')):.2f} | {first} |")
        print("\n| ratio | |\n| --- | --- |")
        for label, ratio in ratios.items():
            print(f"| {label} | {ratio:.2f} |", flush=True)
        found |= {
            "rates": rates, "first_image_s": firsts, "ratios": ratios, "cpu_s_per_image": cpu,
            "load": load, "small": read_weights_file("small").hash,
        }  # fmt: skip
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
