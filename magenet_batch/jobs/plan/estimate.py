"""Rough estimate of a job's duration from a few image headers, for `--dry-run`."""

from __future__ import annotations

from statistics import mean

from PIL import Image, UnidentifiedImageError

from magenet_batch.duration import duration
from magenet_batch.jobs.plan.plan import Plan, tasks_of

_SAMPLE = 16  # number of images whose headers are read
SECONDS_PER_IMAGE, SECONDS_PER_MEGAPIXEL = 1.4, 0.07
"""Seconds of one of two workers with one thread each and weights `small`, without start-up:
measured on photographs of 1 and of 12 megapixels on an AMD EPYC (`benchmarks/archive.py`)."""


def worker_seconds(images: int, megapixels: float) -> float:
    """Seconds of one worker for a number of images of this total size."""
    return images * SECONDS_PER_IMAGE + megapixels * SECONDS_PER_MEGAPIXEL


def megapixels(plan: Plan) -> float | None:
    """Mean size of a few images of a plan, evenly spaced; None if none of them can be read.

    Args:
        plan: the images.

    Returns:
        Megapixels per image.
    """
    step = max(1, len(plan) // _SAMPLE)
    part = plan.table.take(list(range(0, len(plan), step))[:_SAMPLE])
    sizes = []
    for task in tasks_of(part):
        if "://" in task.source:  # each header would be a request
            continue
        try:
            with Image.open(task.path) as image:
                sizes.append(image.width * image.height / 1e6)
        except (OSError, UnidentifiedImageError, ValueError, SyntaxError):
            continue
    return mean(sizes) if sizes else None


def estimate(plan: Plan, *, workers: int, gpus: int) -> str:
    """Describe how long a job would take on CPUs.

    Args:
        plan: the images.
        workers: number of workers.
        gpus: number of GPUs; there is no measured rate for GPUs yet.
    """
    size = megapixels(plan)
    if size is None:
        return "no estimate: image sizes are unknown until the images are read"
    total = f"about {size * len(plan):,.1f} megapixels ({size:.1f} per image)"
    if gpus:
        return f"{total}; no rate has been measured on GPUs yet: try --limit 100"
    seconds = worker_seconds(len(plan), size * len(plan)) / max(workers, 1)
    return f"{total}; roughly {duration(seconds)} with {max(workers, 1)} workers of one thread"
