"""The cost of an archive job's driver, with hundreds of workers and up to a million images.

    python benchmarks/scaling.py [--images 1000 1000000] [-o benchmarks/results/scaling.json]

The workers only sleep: they stand for hundreds of processes on other machines, of which the driver
sees only the answers. Each size runs in its own process, from loading the frozen plan to the last
shard: once as fast as the driver can (CPU seconds, images per second, peak memory), and once at a
fixed rate (share of a core that the driver needs). Lines are fitted through the sizes.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from memory import peak_mib

from magenet_batch.jobs.engine.engine import Engine
from magenet_batch.jobs.engine.executor import Done, Event, Ready, Tick, WorkerId
from magenet_batch.jobs.engine.progress import SilentProgress
from magenet_batch.jobs.ledger.ledger import Ledger
from magenet_batch.jobs.ledger.log import Log
from magenet_batch.jobs.plan.plan import PLAN_COLUMNS, Plan
from magenet_batch.jobs.plan.shards import shard_size_for
from magenet_batch.jobs.work.remaining import remaining_units
from magenet_batch.jobs.work.worker import Counters, Outcome, WorkUnit


class SleepingWorkers:
    """Workers that take a fixed time for every image and answer as real ones do.

    Args:
        image_s: seconds that a worker takes for an image; 0 answers at once.
    """

    def __init__(self, image_s: float) -> None:
        self._image_s = image_s
        self._spawned = 0
        self._ready: list[Event] = []
        self._due: list[tuple[float, WorkerId, int]] = []
        self._began: dict[WorkerId, float] = {}

    def spawn(self) -> WorkerId:
        worker, self._spawned = self._spawned, self._spawned + 1
        self._ready.append(Ready(worker))
        return worker

    def submit(self, worker: WorkerId, unit: WorkUnit, part: pa.Table) -> None:
        now = time.monotonic()
        self._began[worker] = now
        heapq.heappush(self._due, (now + self._image_s * len(part), worker, len(part)))

    def wait(self, timeout: float, *, tick: Tick) -> list[Event]:
        events, self._ready = self._ready, []
        if not events and self._due:
            time.sleep(min(timeout, max(0.0, self._due[0][0] - time.monotonic())))
        while self._due and self._due[0][0] <= time.monotonic():
            _, worker, images = heapq.heappop(self._due)
            del self._began[worker]
            events.append(Done(worker, Outcome(True, None, Counters(images=images))))
        return events

    def counters(self, worker: WorkerId) -> Counters:
        if not self._image_s or worker not in self._began:
            return Counters()
        return Counters(images=int((time.monotonic() - self._began[worker]) / self._image_s))

    def drain(self) -> None:
        self._due.clear()

    def kill(self, worker: WorkerId) -> None:
        raise AssertionError("no worker sleeps for half an hour")

    def close(self) -> None:
        self._due.clear()


def make_plan(images: int) -> Plan:
    """A plan with paths of usual length."""
    keys = [f"site_{i % 97:02d}/{i % 31:02d}/{i:07d}.jpg" for i in range(images)]
    columns = [
        keys, [f"/mnt/archive/fundus/{k}" for k in keys], [f"images/{k}" for k in keys],
        [2_000_000] * images, *[[None] * images] * 3,
    ]  # fmt: skip
    arrays = [pa.array(c, f.type) for c, f in zip(columns, PLAN_COLUMNS, strict=True)]
    return Plan(pa.Table.from_arrays(arrays, schema=PLAN_COLUMNS), shard_size_for(images))


def drive(folder: Path, *, workers: int, rate: float) -> dict[str, float]:
    """Run a frozen plan in a separate process; rate 0 is as fast as possible."""
    base = peak_mib()
    began, cpu = time.perf_counter(), time.process_time()
    plan = Plan.load(folder / "plan.parquet")
    ledger = Ledger(folder, plan)
    units = remaining_units(ledger, retry_failed=False, stop=threading.Event())
    ready, ready_cpu = time.perf_counter(), time.process_time()
    engine = Engine(
        SleepingWorkers(workers / rate if rate else 0.0), ledger=ledger, workers=workers,
        stop=threading.Event(), progress=SilentProgress(), log=Log(folder / "log.jsonl"),
    )  # fmt: skip
    assert engine.run(units)
    now, now_cpu = time.perf_counter(), time.process_time()
    return {
        "images": len(plan), "workers": workers, "plan_s": ready - began,
        "cpu_s": now_cpu - cpu, "images_per_s": len(plan) / (now - ready),
        "core_share": (now_cpu - ready_cpu) / (now - ready),
        "base_mib": base, "peak_mib": peak_mib(),
    }  # fmt: skip


def in_process(folder: Path, *, workers: int, rate: float) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--drive", str(folder), str(workers), str(rate)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def fit(runs: list[dict[str, float]], value: str, *, scale: float) -> dict[str, float]:
    """A line through the sizes: cost per image, and the exponent of the growth."""
    images = np.array([r["images"] for r in runs])
    values = np.array([r[value] for r in runs])
    slope, base = np.polyfit(images, values, 1)
    over = values[-1] - base, max(values[-2] - base, 1e-9)
    power = math.log(max(over[0], 1e-9) / over[1]) / math.log(images[-1] / images[-2])
    return {"per_image": slope * scale, "base": base, "power_of_last_decade": power}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10**4, 10**5, 10**6])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 16, 256])
    parser.add_argument("--rate", type=float, default=2000.0, help="images/s of the paced run")
    parser.add_argument("--paced", type=int, default=60_000, help="images of the paced run")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--drive", nargs=3, metavar=("FOLDER", "WORKERS", "RATE"))
    arguments = parser.parse_args()
    if arguments.drive:
        folder, workers, rate = arguments.drive
        print(json.dumps(drive(Path(folder), workers=int(workers), rate=float(rate))))
        return
    fast, paced = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for images in arguments.images:
            make_plan(images).save(folder / "plan.parquet")
            fast.append(in_process(folder, workers=max(arguments.workers), rate=0.0))
            print("as fast as can be:", json.dumps(fast[-1]), flush=True)
        make_plan(arguments.paced).save(folder / "plan.parquet")
        for workers in arguments.workers:
            paced.append(in_process(folder, workers=workers, rate=arguments.rate))
            print("paced:", json.dumps(paced[-1]), flush=True)
    found = {
        "fast": fast, "paced": paced, "rate": arguments.rate,
        "memory": fit(fast, "peak_mib", scale=2**20), "cpu": fit(fast, "cpu_s", scale=1e6),
    }  # fmt: skip
    memory, cpu = found["memory"], found["cpu"]
    print(f"memory: {memory['base']:.0f} MiB and {memory['per_image']:.0f} bytes an image; "
          f"CPU: {cpu['per_image']:.0f} us an image")  # fmt: skip
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
