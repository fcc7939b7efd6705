"""A job of a million images, for `resume.py` and `append.py`: its archive, its rows, its timing.

The archive consists of hard links to a tiny image. What is timed runs in a process of its own,
which is stopped at its first image.
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
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pyarrow as pa
import pyarrow.parquet as pq
from job import Clock, make_archive
from memory import peak_mib

from magenet_batch.jobs.ledger.state import open_state
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.plan import make_plan
from magenet_batch.jobs.run import JobSummary, run_job, weights_of
from magenet_batch.jobs.work.worker import Counters
from magenet_batch.records.layout import rows_file
from magenet_batch.records.schema import row_schema

FOLDERS = 97
_SCHEMA = row_schema()


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """The options that both benchmarks have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    return parser


def compare_first_image(
    arguments: argparse.Namespace,
    *,
    left: int,
    measure: Callable[[Path], dict[str, float]],
    prepare: Callable[[Path], dict[str, float]] = lambda folder: {},
) -> None:
    """Make archive and job, measure in a process of its own, and write what was found.

    Args:
        arguments: parsed options of the benchmark.
        left: shards of the job that are not done.
        measure: runs in the other process, with the folder that holds `in` and `out`.
        prepare: changes the archive before that, and says how.
    """
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name)
        found: dict[str, float] = {"rows": arguments.rows}
        if not (folder / "in").is_dir():
            make_links(folder, rows=arguments.rows)
        if not (folder / "out").is_dir():
            found |= make_job(folder, left=left)
        found |= prepare(folder)
        done = subprocess.run(
            [sys.executable, sys.argv[0], "--measure", str(folder)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    found |= json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(found, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def options_for(folder: Path, *, append: bool = False) -> JobOptions:
    return JobOptions(
        archive=(str(folder / "in"),), out=str(folder / "out"), workers=0, gpus=0, append=append
    )


def make_links(folder: Path, *, rows: int) -> None:
    """A million files without content of their own; file systems limit the links to one file."""
    image = make_archive(folder / "in", images=1, size=96) / "0000.jpg"
    content = image.read_bytes()
    for index in range(rows):
        path = folder / "in" / f"site_{index % FOLDERS:02d}" / f"{index:07d}.jpg"
        original = path.parent / "0000000.jpg"
        if not original.exists():
            path.parent.mkdir(exist_ok=True)
            original.write_bytes(content)
        if path != original:
            os.link(original, path)
    image.unlink()


def make_job(folder: Path, *, left: int) -> dict[str, float]:
    """A job in which all shards but the last ones are done; returns the duration of its plan."""
    options = options_for(folder)
    began = time.perf_counter()
    plan = make_plan(options)
    seconds, peak = time.perf_counter() - began, peak_mib()
    (folder / "out" / "rows").mkdir(parents=True)
    open_state(folder / "out", plan, identity=options.identity(weights_of(options).hash))
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


def until_first_image(folder: Path, *, append: bool = False) -> tuple[Stop, JobSummary, dict]:
    """Run the job until its first image.

    Returns:
        Its clock, its summary, and the figures that both benchmarks report.
    """
    stop = threading.Event()
    clock = Stop(stop)
    imports = time.process_time()
    summary = run_job(options_for(folder, append=append), progress=clock, stop=stop)
    figures = {
        "first_image_s": clock.first, "cpu_until_then_s": clock.cpu - imports,
        "driver_peak_mib": peak_mib(), "load": os.getloadavg()[0],
    }  # fmt: skip
    return clock, summary, figures
