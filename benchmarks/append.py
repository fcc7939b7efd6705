"""Appending to a job of a million images: time until the first new image, and the driver's memory.

    python benchmarks/append.py [--rows 1000000] [--new 1000] [--folder KEPT]
        [-o benchmarks/results/append.json]

Makes the archive of `resume.py` and a finished job on it, adds new images to all folders of the
archive, and appends in a separate process that is stopped at its first image.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from memory import peak_mib
from resume import Stop, make_job, make_links, options_for

from magenet_batch.jobs.run import run_job

FOLDERS = 97  # of the archive that `resume.py` makes


def add_images(folder: Path, *, count: int) -> None:
    """Add images that no earlier append has seen."""
    for index in range(count):
        site = folder / "in" / f"site_{index % FOLDERS:02d}"
        os.link(site / "0000000.jpg", site / f"new_{time.time_ns()}.jpg")


def append(folder: Path) -> dict[str, float]:
    """Append until the first image."""
    stop = threading.Event()
    clock = Stop(stop)
    imports = time.process_time()
    options = options_for(folder).model_copy(update={"append": True})
    summary = run_job(options, progress=clock, stop=stop)
    return {
        "images": summary.images, "before": summary.before, "first_image_s": clock.first,
        "cpu_until_then_s": clock.cpu - imports, "driver_peak_mib": peak_mib(),
        "load": os.getloadavg()[0],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--new", type=int, default=1_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--go-on", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.go_on:
        print(json.dumps(append(arguments.go_on)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name)
        if not (folder / "in").is_dir():
            make_links(folder, rows=arguments.rows)
        if not (folder / "out").is_dir():
            make_job(folder, left=0)
        add_images(folder, count=arguments.new)
        done = subprocess.run(
            [sys.executable, __file__, "--go-on", str(folder)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    found = {"rows": arguments.rows, "new": arguments.new}
    found |= json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(found, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
