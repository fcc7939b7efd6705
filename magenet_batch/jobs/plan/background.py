"""Lists the archive of a job again, in a thread beside the work if that takes long."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

import pyarrow as pa

from magenet_batch.errors import MagenetError
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.listing import Skipped
from magenet_batch.jobs.plan.plan import Plan

BESIDE_ABOVE = 50_000
"""Archives of larger plans are listed while the job works. Their listing takes seconds, and the
work needs only the plan: images that are done before a change is found are done correctly."""

HEAD_START_S = 5.0
"""Delay before the listing starts, so that it takes no CPU time from the start of the workers."""


class BackgroundListing(ABC):
    """A second listing of an archive, which can run in a thread.

    Args:
        options: options of the job.
        plan: the plan as it is.
        say: prints messages.
    """

    def __init__(self, options: JobOptions, plan: Plan, *, say: Callable[[str], None]) -> None:
        self._options = options
        self._plan = plan
        self._say = say
        self._skipped = Skipped()
        self._abandoned = False
        self._awaited = threading.Event()
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None

    @abstractmethod
    def begin(self) -> Plan:
        """List a small archive, or start listing a large one, and return the plan to work on.

        Raises:
            MagenetError: the archive cannot be listed, or its state ends the job.
        """

    def finish(self) -> Plan | None:
        """Wait for a listing in a thread.

        Returns:
            The plan, if the listing added work to it.

        Raises:
            MagenetError: the archive cannot be listed, or its state ends the job.
        """
        if self._thread is None:
            return None
        self._awaited.set()
        self._thread.join()
        self._thread = None
        before = self._plan
        self._report()
        return None if self._plan is before else self._plan

    @property
    def failed(self) -> bool:
        """Whether an error is already known that `finish` will raise."""
        return self._error is not None

    def abandon(self) -> None:
        """Stop the listing early, for a job that ends before its work is done."""
        self._abandoned = True
        self._awaited.set()

    @abstractmethod
    def _list(self) -> None:
        """List the archive and note what follows from it."""

    def _run(self) -> None:
        """List, and note the error of a listing that fails."""
        try:
            self._list()
        except (MagenetError, OSError, pa.ArrowException) as error:
            self._error = error

    def _run_in_thread(self) -> None:
        def later() -> None:
            self._awaited.wait(HEAD_START_S)
            self._run()

        self._thread = threading.Thread(target=later, name="list-again", daemon=True)
        self._thread.start()

    def _report(self) -> None:
        """Raise the error of the listing, or print what it left out."""
        if self._error is not None:
            raise self._error
        for line in self._skipped.lines():
            self._say(line)
