"""Looks at an archive again and again, and appends to its job whatever has arrived."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from magenet_batch.errors import MagenetError, UsageError
from magenet_batch.jobs.engine.progress import Progress
from magenet_batch.jobs.ledger.state import is_known
from magenet_batch.jobs.ledger.status import read_status
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.growth import compare
from magenet_batch.jobs.plan.listing import Skipped
from magenet_batch.jobs.plan.plan import Plan, listed, settled
from magenet_batch.jobs.run import run_job
from magenet_batch.jobs.watch.metrics import Metrics
from magenet_batch.jobs.work.enhancers import EnhancerFactory
from magenet_batch.records.layout import PLAN
from magenet_batch.stop import two_stage_stop

LONGEST_PAUSE_S = 600.0
"""Maximum pause after repeated errors."""
_STOPPING = "Stopping. Press Ctrl-C again to stop immediately."


class Watch:
    """The service.

    Each look lists the archive. If it differs from the plan, the job runs with `--append`; files
    that are still growing are left to the next look. Nothing is kept in memory between two looks
    but the metrics: the output folder is the state, and any command can work on it while the
    service waits.

    Args:
        options: options of the job, with `append`.
        every: seconds between two looks.
        metrics: updated while the service runs.
        say: prints messages.
        progress: makes the progress display of a job.
        enhancer_factory: see `run.run_job`.
        command: the command line, for `run.json`.
        stop: set it from another thread to stop.
    """

    def __init__(
        self,
        options: JobOptions,
        *,
        every: float,
        metrics: Metrics,
        say: Callable[[str], None] = lambda text: None,
        progress: Callable[[], Progress | None] = lambda: None,
        enhancer_factory: EnhancerFactory | None = None,
        command: Sequence[str] = (),
        stop: threading.Event | None = None,
    ) -> None:
        self._options = options
        self._every = every
        self._metrics = metrics
        self._say = say
        self._progress = progress
        self._factory = enhancer_factory
        self._command = command
        self._stop = stop or threading.Event()
        self._complete = False

    def run(self) -> None:
        """Watch until the stop event is set, by a signal or from another thread.

        Raises:
            UsageError: the options do not fit the job in the output folder, or are invalid.
        """
        errors = 0
        with two_stage_stop(self._stop, say=self._say, text=_STOPPING):
            while not self._stop.is_set():
                try:
                    self._look()
                    errors = 0
                except UsageError:
                    raise
                except MagenetError as error:
                    errors += 1
                    self._metrics.errors += 1
                    self._say(f"{error}\nTrying again.")
                self._stop.wait(min(self._every * 2**errors, max(self._every, LONGEST_PAUSE_S)))

    def _look(self) -> None:
        """List the archive, and process what has arrived."""
        self._metrics.looks += 1
        self._metrics.last_look = time.time()
        if not self._has_work():
            return
        self._complete = False
        self._metrics.working = True
        try:
            summary = run_job(
                self._options, enhancer_factory=self._factory, progress=self._progress(),
                say=self._say, command=self._command, stop=self._stop,
            )  # fmt: skip
        finally:
            self._metrics.working = False
        self._say(summary.text())
        self._metrics.worked += summary.worked
        self._complete = not summary.interrupted
        status = read_status(self._options.out_path)
        self._metrics.images = dict(status.counts.by_status)
        self._metrics.removed = status.removed

    def _has_work(self) -> bool:
        """Whether the archive differs from the plan, or the job in the folder is not complete."""
        out = self._options.out_path
        blocks = listed(self._options, Skipped(), may_be_empty=True)
        if not is_known(out):
            return any(settled(block, seconds=self._options.settle).any() for block in blocks)
        if not self._complete:
            return True
        growth = compare(Plan.load(out / PLAN), blocks)
        return bool(len(growth.new) or len(growth.changed))
