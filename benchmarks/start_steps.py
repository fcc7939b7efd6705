"""The steps of a start, up to the first image, and the packages that take longest to import.

    python benchmarks/start_steps.py [--times 3] [-o benchmarks/results/start_steps.json]

One process that does everything itself, as `magenet enhance --workers 0` does: CPU milliseconds of
each step, the least of several processes, on a phantom of 512 px with one thread. The imports are
those of a worker, by `python -X importtime`: elapsed milliseconds of a package's own modules, the
least of several processes too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from start import Found, make_archive

MOST = 8  # packages that are listed


STEPS = """
import json, sys, time
marks = {}
def mark(name):
    marks[name] = 1000 * time.process_time()
mark("Python")
import magenet_batch.cli.main
from magenet_batch.jobs.run import run_job, weights_of
from magenet_batch.jobs.options import JobOptions
mark("command line, Arrow, OpenCV")
options = JobOptions(archive=(sys.argv[1],), out=sys.argv[2], policy="all", workers=0, gpus=0)
from magenet_batch.jobs.plan.plan import make_plan, tasks_of
plan, weights = make_plan(options), weights_of(options)
mark("list the archive, hash the weights")
import torch
mark("torch")
enhancer = weights.factory("cpu", 1)
mark("load the network")
from pathlib import Path
from magenet_batch.jobs.work.process import ImageProcessor
processor = ImageProcessor(enhancer, out=Path(sys.argv[2]), image_options=options.image_options)
processor.process(tasks_of(plan.table)[0])
mark("first image")
names = list(marks)
print(json.dumps({b: marks[b] - (marks[a] if a else 0) for a, b in zip([None, *names], names)}))
"""


def breakdown(archive: Path, out: Path, *, times: int) -> Found:
    """CPU milliseconds of each step up to the first image; the least of several processes."""
    runs = []
    for turn in range(times):
        command = [sys.executable, "-c", STEPS, str(archive), str(out / str(turn))]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        runs.append(json.loads(done.stdout))
    return {step: min(run[step] for run in runs) for step in runs[0]}


def by_package(said: str) -> Found:
    """Milliseconds of each package's own modules, from what `-X importtime` prints."""
    own: Found = {}
    for line in said.splitlines()[1:]:
        microseconds, _, name = line.removeprefix("import time:").split("|")
        package = name.strip().partition(".")[0]
        own[package] = own.get(package, 0.0) + int(microseconds) / 1000
    return own


def imports(*, times: int) -> Found:
    """Packages that a worker imports, the slowest first."""
    code = "import magenet_batch.jobs.work.worker, magenet_batch.inference.enhancer"
    command = [sys.executable, "-X", "importtime", "-c", code]
    runs = []
    for _ in range(times):
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True)
        runs.append(by_package(done.stderr))
    least = {package: min(run[package] for run in runs) for package in runs[0]}
    return dict(sorted(least.items(), key=lambda one: -one[1])[:MOST])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    told = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        archive = make_archive(Path(name) / "in", images=1, size=512)
        steps = breakdown(archive, Path(name) / "out", times=told.times)
    found = {"load": load, "steps_ms": steps, "imports_ms": imports(times=told.times)}
    for title in ("steps_ms", "imports_ms"):
        print(f"{title}: " + ", ".join(f"{k} {v:.0f}" for k, v in found[title].items()))
    if told.output:
        told.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
