"""The archive job compared with simpler programs that a user could write, in one run.

    python benchmarks/beside.py [--network sleep|small] [-o benchmarks/results/beside.json]

All programs call the function that the job's workers call, on the same images, with the same number
of processes: a plain loop, torch's DataLoader, a process pool, Ray Data, and the job. With
`--network sleep` the network is a pause, so that everything else is measured; with `small` it is
the shipped network, and the cheapest that a user could do comes beside it: OpenCV's CLAHE in a
pool, from file to file, without rows, measures and refusals. Times cover the whole run, including
start and end, as a user waits for it; steady rates exclude the start. Images per hour and per euro
follow from the steady rate and from `--price`, the price of a machine like this for an hour. Only
the job writes rows and resumes after a crash. Ray's workers get the normal priority, as all others.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line sets it
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_worker_niceness", "0")

import cv2
import numpy as np
from job import Clock, make_archive

from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.plan import Task, make_plan, tasks_of
from magenet_batch.jobs.run import load_enhancer, run_job
from magenet_batch.jobs.work.process import ImageProcessor

ALL = JobOptions(archive=("none",), policy="all").image_options
"""Enhance every image, whatever its grade."""

PAUSE_S = 0.1
PRICE, PRICE_OF = 0.10, "two virtual cores with 8 GiB, on demand, assumed in November 2026"
"""Default of --price, in euros for an hour: an assumption, not an offer."""


class Pause:
    """A network that takes a fixed time and changes nothing."""

    weights_name, weights_hash = "pause", "0" * 16

    def enhance(self, pixels: Any, fov: Any, *, cancelled: Any = None) -> Any:
        time.sleep(PAUSE_S)
        return Enhanced(pixels)


class Enhanced:
    """Result of a network, without vessel maps."""

    vessels_before = vessels_after = None

    def __init__(self, pixels: Any) -> None:
        self.pixels = pixels


def make_pause(device: str, threads: int) -> Pause:
    return Pause()


FACTORIES: dict[str, Callable[[str, int], Any]] = {
    "sleep": make_pause,
    "small": partial(load_enhancer, weights="small"),
}


class Process:
    """Loads the network at the first call, and calls the workers' own function."""

    def __init__(self, network: str, out: str) -> None:
        self._network, self._out = network, out
        self._processor: ImageProcessor | None = None

    def __call__(self, task: Task) -> float:
        if self._processor is None:
            cv2.setNumThreads(1)
            self._processor = ImageProcessor(
                FACTORIES[self._network]("cpu", 1), out=Path(self._out), image_options=ALL
            )
        row = self._processor.process(task)
        assert row["status"] != "failed", row
        return time.time()


class Images:
    """A map-style torch dataset that enhances images."""

    def __init__(self, tasks: list[Task], process: Process) -> None:
        self._tasks, self._process = tasks, process

    def __len__(self) -> int:
        return len(self._tasks)

    def __getitem__(self, index: int) -> float:
        return self._process(self._tasks[index])


def loop(tasks: list[Task], process: Process, *, processes: int) -> Iterable[float]:
    return map(process, tasks)


def data_loader(tasks: list[Task], process: Process, *, processes: int) -> Iterable[float]:
    from torch.utils.data import DataLoader

    loader: Any = DataLoader(
        Images(tasks, process), batch_size=None, num_workers=processes,  # type: ignore[arg-type]
        multiprocessing_context="spawn",
    )  # fmt: skip
    return iter(loader)


_process: Process


def _begin(process: Process) -> None:
    global _process
    _process = process


def _work(task: Task) -> float:
    return _process(task)


def pool(tasks: list[Task], process: Process, *, processes: int) -> Iterable[float]:
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(processes, _begin, (process,)) as workers:
        yield from workers.imap_unordered(_work, tasks)


def _clahe(task: Task, out: str) -> float:
    """Read a photograph, equalise its lightness, write it."""
    cv2.setNumThreads(1)
    lab = cv2.cvtColor(cv2.imread(str(task.path)), cv2.COLOR_BGR2LAB)
    lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(np.ascontiguousarray(lab[..., 0]))
    path = Path(out) / task.output
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(lab, cv2.COLOR_LAB2BGR))
    return time.time()


def clahe_pool(tasks: list[Task], out: str, *, processes: int) -> Iterable[float]:
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(processes) as workers:
        yield from workers.imap_unordered(partial(_clahe, out=out), tasks)


class Mapped:
    """Ray Data's actor."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"at": self._process(Task(row["image_id"], row["source"], row["output"]))}


def ray_data(tasks: list[Task], process: Process, *, processes: int) -> Iterable[float]:
    import ray

    ray.init(
        address="local", num_cpus=processes + 1, include_dashboard=False, log_to_driver=False,
        logging_level=logging.ERROR, object_store_memory=200_000_000,
        _node_ip_address="127.0.0.2",
    )  # fmt: skip
    ray.data.DataContext.get_current().enable_progress_bars = False
    items = [t._asdict() | {"raw": ""} for t in tasks]
    data = ray.data.from_items(items, override_num_blocks=min(len(items), 8 * processes))
    mapped = data.map(Mapped, fn_constructor_args=(process,), concurrency=processes)
    yield from (row["at"] for row in mapped.iter_rows())
    ray.shutdown()


def time_of(run: Callable[[], Iterable[float]]) -> dict[str, float]:
    """Seconds of the whole run, and images per second between the first and the last image."""
    began = time.time()
    marks = sorted(run())
    seconds = time.time() - began
    steady = (len(marks) - 1) / (marks[-1] - marks[0])
    return {"seconds": seconds, "first_s": marks[0] - began, "steady_per_s": steady}


def job(archive: Path, out: Path, *, network: str, workers: int) -> dict[str, float]:
    began, cpu = time.perf_counter(), time.process_time()
    clock = Clock()
    options = JobOptions(
        archive=(str(archive),), out=str(out), workers=workers, gpus=0,
        policy="all",  # as the functions it is compared with
    )  # fmt: skip
    factory = None if network == "small" else FACTORIES[network]
    run_job(options, enhancer_factory=factory, progress=clock)
    return {
        "seconds": time.perf_counter() - began, "first_s": clock.first,
        "steady_per_s": clock.rate, "driver_cpu_s": time.process_time() - cpu,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=FACTORIES, default="sleep")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--price", type=float, default=PRICE, help=f"EUR for an hour: {PRICE_OF}")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    count, network = arguments.processes, arguments.network
    load = os.getloadavg()[0]
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = make_archive(folder / "in", images=arguments.images, size=arguments.size)
        plan = make_plan(JobOptions(archive=(str(archive),), out=str(folder / "x"), gpus=0))
        tasks = tasks_of(plan.table)
        found["job, inline"] = job(archive, folder / "out0", network=network, workers=0)
        found[f"job, {count} workers"] = job(
            archive, folder / "out", network=network, workers=count
        )
        others = {
            "plain loop": loop, f"DataLoader, {count} workers": data_loader,
            f"pool of {count} processes": pool, f"Ray Data, {count} actors": ray_data,
        }  # fmt: skip
        for index, (label, way) in enumerate(others.items()):
            process = Process(network, str(folder / f"other{index}"))
            found[label] = time_of(partial(way, tasks, process, processes=count))
        if network != "sleep":
            out = str(folder / "clahe")
            found[f"CLAHE, pool of {count} processes"] = time_of(
                partial(clahe_pool, tasks, out, processes=count)
            )
    for one in found.values():
        one["per_hour"] = 3600 * one["steady_per_s"]
        one["per_euro"] = one["per_hour"] / arguments.price
    print("| | whole run (s) | first image after (s) | steady images/s | per hour | per euro |")
    print("| --- | --- | --- | --- | --- | --- |")
    for label, one in found.items():
        print(f"| {label} | {one['seconds']:.1f} | {one['first_s']:.1f} | "
              f"{one['steady_per_s']:.2f} | {one['per_hour']:.0f} | "
              f"{one['per_euro']:.0f} |")  # fmt: skip
    if arguments.output:
        before = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
        before[network] = {
            "images": arguments.images, "size": arguments.size, "processes": count, "ways": found,
            "price": arguments.price, "load": load,
        }  # fmt: skip
        arguments.output.write_text(json.dumps(before, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
