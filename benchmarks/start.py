"""The start of a small job: ten photographs, from the command to the first image and to the end.

    python benchmarks/start.py [--times 3] [-o benchmarks/results/start.json]

The command line in a separate process on phantoms of 512 px, weights `small`, policy `all`, with
three kinds of workers in turn: one Ray worker per core, as many local processes (the default for
small jobs), and inline. The first image counts when its file has its final name. CPU seconds until
then are those of the command and all its child processes; those of the command and its busiest
process alone are the minimum on an idle machine. On a busy machine they are more reliable than wall
time. Ray's workers get the normal priority (`RAY_worker_niceness=0`). Medians. Outputs and rows of
the first two kinds are compared: they must not differ.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import psutil
import pyarrow.parquet as pq

from magenet_batch.phantom import make_phantom
from magenet_batch.records.schema import TIMING_COLUMNS

Found = dict[str, float]


def make_archive(folder: Path, *, images: int, size: int) -> Path:
    folder.mkdir(parents=True)
    for seed in range(images):
        pixels = make_phantom(seed, size=size).pixels
        cv2.imwrite(str(folder / f"{seed:02d}.jpg"), pixels[..., ::-1])
    return folder


def used(process: psutil.Process) -> tuple[float, float]:
    """CPU seconds of a process and all its children; and of the process and its busiest child."""
    each = []
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            times = one.cpu_times()
            each.append(times.user + times.system)
    return sum(each), each[0] + max(each[1:], default=0.0)


def run(archive: Path, out: Path, *options: str) -> Found:
    """Seconds to the first image and to the end, and processor seconds until the first."""
    command = [sys.executable, "-m", "magenet_batch", "enhance", str(archive), "-o", str(out)]
    command += ["--policy", "all", "--gpus", "0", *options]
    environment = {**os.environ, "RAY_worker_niceness": "0"}
    began = time.perf_counter()
    process = psutil.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    first, cpu, least = None, 0.0, 0.0
    while process.poll() is None:
        if first is None and any((out / "images").glob("*.jpg")):
            first = time.perf_counter() - began
            cpu, least = used(process)
        time.sleep(0.01)
    seconds = time.perf_counter() - began
    said = process.stderr.read().decode()
    assert process.returncode == 0 and first is not None, said
    return {"first_image_s": first, "cpu_until_then_s": cpu, "least_s": least, "seconds": seconds}


def result(out: Path) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """Files by name, and rows without their timings."""
    files = {p.name: p.read_bytes() for p in (out / "images").iterdir()}
    rows = [r for f in sorted((out / "rows").iterdir()) for r in pq.read_table(f).to_pylist()]
    return files, [{k: v for k, v in r.items() if k not in TIMING_COLUMNS} for r in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    told = parser.parse_args()
    workers = str(min(len(os.sched_getaffinity(0)), -(-told.images // 2)))
    ways = {"Ray": ("--workers", workers), "local processes": (), "inside": ("--workers", "0")}
    runs: dict[str, list[Found]] = {way: [] for way in ways}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = make_archive(folder / "in", images=told.images, size=told.size)
        reference = None
        for turn in range(told.times):
            for way, options in ways.items():
                out = folder / f"{way} {turn}"
                runs[way].append(run(archive, out, *options))
                print(f"{way}: {json.dumps(runs[way][-1])}", file=sys.stderr, flush=True)
                if way != "inside":  # its threads are as many as there are cores
                    reference = reference or result(out)
                    assert result(out) == reference, f"{way} gives other files or rows"
    found = {
        "images": told.images, "size": told.size, "workers": int(workers), "load": load,
        "ways": {
            way: {key: median(one[key] for one in some) for key in some[0]}
            for way, some in runs.items()
        },
    }  # fmt: skip
    print("| workers are | first image after (s) | processor until then (s) | command and "
          "busiest process (s) | whole run (s) |")  # fmt: skip
    print("| --- | --- | --- | --- | --- |")
    for way, one in found["ways"].items():
        values = (one[k] for k in ("first_image_s", "cpu_until_then_s", "least_s", "seconds"))
        print(f"| {way} | {' | '.join(f'{value:.1f}' for value in values)} |")
    if told.output:
        told.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
