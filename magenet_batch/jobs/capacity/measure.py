"""Run a sample of a job for real, and measure its steady rate."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds

from magenet_batch.errors import JobError
from magenet_batch.jobs.engine.progress import SilentProgress
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.plan import Plan
from magenet_batch.jobs.run import Say, run_job
from magenet_batch.jobs.work.enhancers import EnhancerFactory
from magenet_batch.jobs.work.worker import Counters
from magenet_batch.records.layout import ROWS
from magenet_batch.records.schema import TIMING_COLUMNS


@dataclass(frozen=True)
class Measured:
    """A measured sample.

    Attributes:
        images: number of images in the sample.
        failed: number of these that failed.
        images_per_second: steady rate of the machine, from the first finished image on.
        spread: standard error of the mean work per image, relative to that mean: how well the
            sample represents the archive.
        start_seconds: from the command to the first finished image.
        bytes_per_image: size of the output folder per image.
    """

    images: int
    failed: int
    images_per_second: float
    spread: float
    start_seconds: float
    bytes_per_image: float


class _Clock(SilentProgress):
    """Records when how many images were done."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.seen: list[tuple[float, Counters]] = []

    def update(self, done: Counters) -> None:
        """Record the number of images done."""
        if done.images and (not self.seen or done.images > self.seen[-1][1].images):
            self.seen.append((time.monotonic(), done))


def measure_sample(
    options: JobOptions,
    sample: Plan,
    *,
    workers: int,
    enhancer_factory: EnhancerFactory | None = None,
    say: Say = lambda text: None,
) -> Measured | None:
    """Process a sample into a temporary folder, which is deleted afterwards.

    Args:
        options: options of the job; its output folder is not used.
        sample: the images to process.
        workers: number of workers that the job will have.
        enhancer_factory: makes the enhancer, as for `run_job`.
        say: prints messages about the sample's job.

    Returns:
        What was measured; None if it was interrupted.

    Raises:
        JobError: the sample is too small for a rate, or none of its images could be processed.
        UsageError: the options do not fit the archive or the machine.
    """
    clock = _Clock()
    with tempfile.TemporaryDirectory(prefix="magenet-plan-") as folder:
        out = Path(folder) / "out"
        summary = run_job(
            options.model_copy(update={"out": str(out), "workers": workers}),
            plan=sample, enhancer_factory=enhancer_factory, progress=clock, say=say,
        )  # fmt: skip
        if summary.interrupted:
            return None
        rows = ds.dataset(str(out / ROWS)).to_table(columns=[*TIMING_COLUMNS, "status"])
        work = np.sum(
            [rows.column(step).fill_null(0).to_numpy() for step in TIMING_COLUMNS], axis=0
        )
        written = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    failed = rows.column("status").to_pylist().count("failed")
    if failed == len(work):
        raise JobError(
            f"None of the {len(work)} sampled images could be processed, so there is no rate. "
            "Run `magenet assess` on a few of them to see why."
        )
    return Measured(
        len(work), failed, _steady(clock, workers=workers),
        float(work.std(ddof=1) / np.sqrt(len(work)) / max(work.mean(), 1e-9)),
        clock.seen[0][0] - clock.began, written / len(work),
    )  # fmt: skip


def _steady(clock: _Clock, *, workers: int) -> float:
    """Images per second while every worker has work: without the start and the last few images."""
    (began, first), (_, last) = clock.seen[0], clock.seen[-1]
    busy = [(t, c) for t, c in clock.seen[1:] if c.images <= last.images - workers]
    if not busy:
        raise JobError(
            f"{last.images} images are too few for {max(1, workers)} workers to measure a steady "
            "rate. Give --sample a larger number, or fewer --workers."
        )
    ended, done = busy[-1]
    return (done.images - first.images) / (ended - began)
