"""Collect the moments of crops over several calls; progress is kept in a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from safetensors.torch import save

from magenet_batch.storage import write_atomic
from magenet_batch.training.checkpoint import Progress, described, read_progress, read_tensors
from magenet_batch.training.part import PhaseOfRun, checkpoint_path
from magenet_batch.training.restoration.moments import Moments, gather
from magenet_batch.training.restoration.views import Crops

MOMENTS = "moments"
"""Name of this phase and of its file."""


def gather_resumably(
    batches: Callable[[int], Iterator[Crops]], *, samples: int, batch: int, run: PhaseOfRun
) -> Moments | None:
    """Collect the moments of crops, resuming where an earlier call stopped.

    Every call collects at least one batch, so that repeated calls that are stopped early still
    finish.

    Args:
        batches: yields crops, starting at the batch with the given number.
        samples: total number of crops.
        batch: crops per batch.
        run: folder of the file, and when to stop.

    Returns:
        The moments; None after a stop, when the progress was saved.
    """
    path = checkpoint_path(run.folder, MOMENTS)
    progress = Progress(recipe=f"{run.fingerprint}-{MOMENTS}")
    kept: Moments | None = None
    if path.is_file():
        progress = read_progress(path, recipe=progress.recipe)
        kept = Moments(**read_tensors(path))
    run.reporter.part(MOMENTS, step=progress.step, steps=samples, minutes=0.0)
    stop = False
    while progress.step < samples and not stop:
        started = time.monotonic()
        before = progress.seconds

        def stopped(have: int, started: float = started, before: float = before) -> bool:
            spent = time.monotonic() - started
            progress.seconds = before + spent
            run.reporter.step(have, {}, seconds=progress.seconds)
            return run.stopped() or spent > 60 * run.checkpoint_minutes

        kept = gather(
            batches(progress.step // batch), samples=samples, before=kept, stopped=stopped
        )
        progress.step = len(kept)
        write_atomic(path, save(dict(vars(kept)), metadata=described(progress)))
        stop = run.stopped()
    assert kept is not None
    return kept if len(kept) == samples else None
