"""Status of a job, from its output folder alone: while it runs and afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from magenet_batch.duration import duration
from magenet_batch.errors import UsageError
from magenet_batch.jobs.ledger.ledger import Counts, Ledger
from magenet_batch.jobs.ledger.lock import living_holders
from magenet_batch.jobs.plan.generations import Generation
from magenet_batch.jobs.plan.plan import Plan
from magenet_batch.records.layout import PENDING, PLAN, ROWS, rows_file, state_files
from magenet_batch.records.run_info import by_start, read_record
from magenet_batch.storage import Location, stats_in

_SHOWN = 5
UNFINISHED_REVIEW = "Applying decisions was interrupted"


@dataclass(frozen=True)
class JobStatus:
    """Status of a job.

    Attributes:
        out: the output folder.
        images: number of planned images.
        counts: counts of the images in finished shards.
        running: processes that work on it now: id, host and start.
        last: how the last started run ended; None while it runs, or if it was killed.
        rate: images per second in the shards finished since the oldest living run started; None if
            nothing is running or finished yet.
        review_pending: whether applying decisions was interrupted.
        outdated: number of images whose rows are of an earlier version, to be processed again.
        removed: number of images whose sources are missing from the archive.
        generations: what joined the job after its first plan.
    """

    out: str
    images: int
    counts: Counts
    running: list[dict[str, Any]]
    last: str | None
    rate: float | None
    review_pending: bool = False
    outdated: int = 0
    removed: int = 0
    generations: tuple[Generation, ...] = ()

    @property
    def done(self) -> int:
        """Number of images that are done in the version that was planned."""
        return self.counts.images - self.outdated

    @property
    def complete(self) -> bool:
        """Whether every image has a row of its planned version."""
        return self.done == self.images

    @property
    def state(self) -> str:
        """`running`, `complete`, `interrupted`, `failed` or `killed`."""
        if self.running:
            return "running"
        if self.complete:
            return "complete"
        return {"interrupted": "interrupted", "failed": "failed"}.get(self.last or "", "killed")

    def as_json(self) -> dict[str, Any]:
        """The status for scripts."""
        return {
            "out": self.out,
            "state": self.state,
            **self.counts.outcome.as_json(),
            "images_per_second": self.rate,
            "seconds_left": self._left(),
            "running": self.running,
            "review_pending": self.review_pending,
            "outdated": self.outdated,
            "removed": self.removed,
            "generations": [one._asdict() for one in self.generations],
        }

    def text(self) -> str:
        """The status for people."""
        share = 100 * self.done / max(self.images, 1)
        lines = [f"{self.out}: {self.state}, {self.done} of {self.images} images done "
                 f"({share:.1f} %)"]  # fmt: skip
        lines += [
            f"  process {one.get('pid', '?')} on {one.get('host', '?')} "
            f"since {one.get('locked', '?')}"
            for one in self.running
        ]
        left = self._left()
        if self.rate is not None and left is not None:
            lines.append(f"  {self.rate:.2f} images/s, {duration(left)} left")
        if self.counts.images:
            lines += [f"  {line}" for line in self.counts.outcome.lines()]
        lines += self._grown()
        if self.review_pending:
            lines.append(f"  {UNFINISHED_REVIEW}: run `magenet review {self.out}`.")
        if self.state in ("interrupted", "failed", "killed"):
            lines.append("  Re-run the same command to resume.")
        return "\n".join(lines)

    def _grown(self) -> list[str]:
        """The last additions to the plan, and what they say of earlier images."""
        lines = []
        if self.outdated:
            which = "image is" if self.outdated == 1 else "images are"
            lines.append(f"  {self.outdated} changed {which} to be processed again")
        if self.removed:
            which = "image was" if self.removed == 1 else "images were"
            lines.append(f"  {self.removed} {which} removed from the archive; outputs stay")
        if len(self.generations) > _SHOWN:
            lines.append(f"  {len(self.generations) - _SHOWN} earlier additions to the plan")
        for one in self.generations[-_SHOWN:]:
            kinds = (("new", one.new), ("changed", one.changed), ("removed", one.removed))
            what = ", ".join(f"{count} {name}" for name, count in kinds if count)
            lines.append(f"  generation {one.number}, planned {one.planned}: {what}")
        return lines

    def _left(self) -> float | None:
        if not self.rate:
            return None
        return (self.images - self.done) / self.rate


def read_status(out: Location) -> JobStatus:
    """Read the status of a job from its output folder; changes nothing.

    Args:
        out: the output folder.

    Raises:
        UsageError: the folder contains no job.
        JobError: its plan or a rows file cannot be read.
    """
    states = state_files(out)
    if not states:
        raise UsageError(
            f"{out}: no job in this folder. Give the folder that `magenet enhance -o` wrote to."
        )
    ledger = Ledger(out, Plan.load(out / PLAN))
    running = living_holders(out)
    records = [read_record(path) for path in states]
    runs = by_start(records)
    counts = ledger.counts()
    counts.outcome.planned = ledger.images
    counts.outcome.copied = records[0].identity.get("kept") != "omit"
    return JobStatus(
        str(out), ledger.images, counts, running,
        last=runs[-1].get("how") if runs else None, rate=_rate(ledger, running),
        review_pending=(out / PENDING).is_file(),
        outdated=ledger.outdated_images(), removed=len(ledger.plan) - ledger.plan.present,
        generations=ledger.plan.later,
    )  # fmt: skip


def _rate(ledger: Ledger, running: list[dict[str, Any]]) -> float | None:
    """Compute the rate from the modification times of the rows files."""
    begun = [_seconds(str(one.get("locked", ""))) for one in running]
    started = min((t for t in begun if t is not None), default=None)
    if started is None:
        return None
    facts = stats_in(ledger.out / ROWS)
    fresh = sum(
        ledger.plan.shard_rows(shard)
        for shard in ledger.done()
        if (found := facts.get(rows_file(ledger.out, shard).name)) and found.st_mtime >= started
    )
    return fresh / max(time.time() - started, 1e-3) if fresh else None


def _seconds(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
