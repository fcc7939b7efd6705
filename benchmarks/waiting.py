"""The cost of threads that wait for each other, on an idle machine and on a busy one.

    python benchmarks/waiting.py [-o benchmarks/results/waiting.json]

The network on a phantom of 1024 px with one thread per core, whose threads spin while they wait
(the default of OpenMP) or sleep (`OMP_WAIT_POLICY=PASSIVE`, which `magenet` sets), each in a
separate process, alone and next to one process per core that is always busy.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE, TIMES = 1024, 5
WAYS = {"spinning": {}, "sleeping": {"OMP_WAIT_POLICY": "PASSIVE"}}
Found = dict[str, dict[str, float]]


def here(threads: int) -> dict[str, float]:
    """Median seconds and processor seconds of the network, in this process."""
    from statistics import median

    from magenet_batch.imaging.fov import find_fov
    from magenet_batch.inference.enhancer import Enhancer
    from magenet_batch.phantom import make_phantom

    pixels = make_phantom(1, size=SIZE).pixels
    fov = find_fov(pixels)
    assert fov is not None
    network = Enhancer.load("small", device="cpu", threads=threads)
    network.enhance(pixels, fov)
    seconds, processor = [], []
    for _ in range(TIMES):
        began, used = time.perf_counter(), time.process_time()
        network.enhance(pixels, fov)
        seconds.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
    return {"seconds": median(seconds), "cpu_seconds": median(processor)}


def apart(threads: int, settings: dict[str, str]) -> dict[str, float]:
    """The same in a separate process with its own environment."""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"} | settings
    command = [sys.executable, __file__, "--here", "--threads", str(threads)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Processes that compute all the time."""
    started = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)
    ]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--here", action="store_true", help="measure in this process")
    parser.add_argument("-o", "--output", type=Path)
    told = parser.parse_args()
    if told.here:
        print(json.dumps(here(told.threads)))
        return
    found: dict[str, Found] = {}
    print("| machine | threads that wait | seconds | CPU seconds |\n| --- | --- | --- | --- |")
    for machine, processes in (("idle", 0), ("busy", told.threads)):
        found[machine] = {}
        for way, settings in WAYS.items():
            with busy(processes):
                one = found[machine][way] = apart(told.threads, settings)
            print(f"| {machine} | {way} | {one['seconds']:.2f} | {one['cpu_seconds']:.2f} |")
    if told.output:
        told.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
