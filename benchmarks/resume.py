"""Resuming a job of a million images: time until the first image, and the driver's memory.

    python benchmarks/resume.py [--rows 1000000] [--folder KEPT] [-o benchmarks/results/resume.json]

Makes an archive of hard links to a tiny image and a job on it in which all shards but one are done,
then resumes it in a separate process that is stopped at its first image. Making the archive takes
minutes: `--folder` keeps it for the next time.
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

import pyarrow as pa
import pyarrow.parquet as pq
from job import Clock, make_archive
from memory import peak_mib

from magenet_batch.jobs.ledger.state import open_state
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.plan import make_plan
from magenet_batch.jobs.plan.relist import ArchiveCheck
from magenet_batch.jobs.run import _weights, run_job
from magenet_batch.jobs.work.worker import Counters
from magenet_batch.records.layout import rows_file
from magenet_batch.records.schema import row_schema

_SCHEMA = row_schema()


def options_for(folder: Path) -> JobOptions:
    return JobOptions(archive=(str(folder / "in"),), out=str(folder / "out"), workers=0, gpus=0)


def make_links(folder: Path, *, rows: int) -> None:
    """A million files without content of their own; file systems limit the links to one file."""
    image = make_archive(folder / "in", images=1, size=96) / "0000.jpg"
    content = image.read_bytes()
    for index in range(rows):
        path = folder / "in" / f"site_{index % 97:02d}" / f"{index:07d}.jpg"
        original = path.parent / "0000000.jpg"
        if not original.exists():
            path.parent.mkdir(exist_ok=True)
            original.write_bytes(content)
        if path != original:
            os.link(original, path)
    image.unlink()


def make_job(folder: Path, *, left: int = 1) -> dict[str, float]:
    """A job in which all shards but the last ones are done; returns the duration of its plan."""
    options = options_for(folder)
    began = time.perf_counter()
    plan = make_plan(options)
    seconds, peak = time.perf_counter() - began, peak_mib()
    (folder / "out" / "rows").mkdir(parents=True)
    open_state(folder / "out", plan, identity=options.identity(_weights(options, None).hash))
    for shard in range(plan.shards - left):
        part = plan.slice(shard, tuple(range(plan.shard_rows(shard))))
        known = set(part.column_names)
        columns = {f.name: part[f.name] if f.name in known else pa.nulls(len(part), f.type)
                   for f in _SCHEMA}  # fmt: skip
        columns["status"] = pa.array(["failed"] * len(part))
        pq.write_table(pa.table(columns).cast(_SCHEMA), rows_file(folder / "out", shard))
    return {"plan_s": seconds, "plan_peak_mib": peak}


class Stop(Clock):
    """Interrupts a job at its first image, as Ctrl-C would."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__()
        self._stop = stop
        self.cpu = 0.0

    def update(self, done: Counters) -> None:
        super().update(done)
        if self.marks and not self._stop.is_set():
            self.cpu = time.process_time()
            self._stop.set()


def resume(folder: Path) -> dict[str, float]:
    """Resume until the first image; then let the check of the archive finish, to time it."""
    checks: list[float] = []
    check = ArchiveCheck._same

    def timed(self: ArchiveCheck) -> bool:
        same = check(self)
        checks.append(time.perf_counter() - clock.began)
        return same

    ArchiveCheck._same = timed  # type: ignore[method-assign]
    ArchiveCheck.abandon = ArchiveCheck.finish  # type: ignore[method-assign]
    stop = threading.Event()
    clock = Stop(stop)
    imports = time.process_time()
    run_job(options_for(folder), progress=clock, stop=stop)
    return {
        "first_image_s": clock.first, "checked_s": checks[0], "driver_peak_mib": peak_mib(),
        "cpu_until_then_s": clock.cpu - imports, "load": os.getloadavg()[0],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--go-on", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.go_on:
        print(json.dumps(resume(arguments.go_on)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name)
        found: dict[str, float] = {"rows": arguments.rows}
        if not (folder / "in").is_dir():
            make_links(folder, rows=arguments.rows)
        if not (folder / "out").is_dir():
            found |= make_job(folder)
        done = subprocess.run(
            [sys.executable, __file__, "--go-on", str(folder)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    found |= json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(found, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
