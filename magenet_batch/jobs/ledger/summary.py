"""Result of a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from magenet_batch.duration import duration
from magenet_batch.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_SOME_FAILED
from magenet_batch.jobs.ledger.ledger import Counts


@dataclass(frozen=True)
class JobSummary:
    """Result of a job.

    Attributes:
        out: the output folder.
        images: number of images in the plan.
        before: number of images that were done before this run.
        counts: counts of all images with a row.
        seconds: duration of this run.
        worked: number of images that this run processed.
        interrupted: whether it was stopped before the end.
    """

    out: str
    images: int
    before: int
    counts: Counts
    seconds: float
    worked: int
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """Exit code of the command line."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        return EXIT_SOME_FAILED if self.counts.failed else EXIT_DONE

    def as_json(self) -> dict[str, Any]:
        """The summary for scripts."""
        return {
            "out": self.out,
            **self.counts.outcome.as_json(),
            "worked": self.worked,
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
        }

    def text(self) -> str:
        """The summary for people."""
        lines = []
        if self.interrupted:
            lines.append(
                f"Interrupted: {self.before + self.worked} of {self.images} images are done. "
                "Re-run the same command to resume."
            )
        elif not self.worked:
            lines.append(f"Nothing to do: all {self.images} images are done.")
        lines += self.counts.outcome.lines()
        if self.worked:
            rate = self.worked / max(self.seconds, 1e-9)
            lines.append(f"{self.worked} images in {duration(self.seconds)} ({rate:.2f} images/s).")
        if self.counts.failed and not self.interrupted:
            lines.append("To retry the failed images, add --retry-failed to the same command.")
        if self.counts.images:
            lines.append(f"Next: magenet report {self.out}")
        return "\n".join(lines)
