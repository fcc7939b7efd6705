"""The outcome of a job, in numbers that add up: the only place that words it.

Every image is delivered enhanced, delivered as it came, withheld, only assessed, failed, or
pending. The terminal, `magenet status` and all formats of the report use these words and counts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from magenet_batch.records.vocabulary import BECAUSE, STATUSES

_EXPLAINED = ("kept", "withheld", "failed")
"""Statuses whose rows have a reason."""


@dataclass
class Outcome:
    """Numbers of images by outcome.

    Attributes:
        planned: number of images in the archive; None if unknown: those with a row count.
        by_status: number of images with a row, by status.
        reasons: number of images by status and reason, for statuses that have reasons.
        copied: whether kept images are copied into the output folder.
    """

    planned: int | None = None
    by_status: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, Counter[str]] = field(
        default_factory=lambda: {status: Counter() for status in _EXPLAINED}
    )
    copied: bool = True

    def add(self, status: str, reason: str | None, count: int = 1) -> None:
        """Count images of one status and reason."""
        self.by_status[status] += count
        if status in self.reasons:
            self.reasons[status][reason or ""] += count

    @property
    def done(self) -> int:
        """Number of images with a row."""
        return self.by_status.total()

    @property
    def images(self) -> int:
        """Number of all images, with or without a row."""
        return max(self.done, self.planned or 0)

    @property
    def pending(self) -> int:
        """Number of images without a row."""
        return self.images - self.done

    @property
    def assessed_only(self) -> bool:
        """Whether the job only assessed, so that nothing was to be enhanced."""
        delivered = sum(self.by_status[status] for status in ("enhanced", "kept", "withheld"))
        return bool(self.by_status["assessed"]) and not delivered

    def headline(self) -> str:
        """The outcome in one sentence, whose numbers add up to the archive."""
        if not self.images:
            return "No images yet."
        first = "assessed" if self.assessed_only else "enhanced"
        verb = first if first == "assessed" else "delivered enhanced"
        count, total = self.by_status[first], self.images
        if count == total:
            return f"The one image was {verb}." if total == 1 else f"All {total:,} images {verb}."
        parts = [f"{count:,} of {total:,} {verb}"]
        parts += [
            f"{self.by_status[status]:,} {self._words(status)}"
            for status in ("assessed", "kept", "withheld", "failed")
            if status != first and self.by_status[status]
        ]
        if self.pending:
            parts.append(f"{self.pending:,} not done yet")
        return "; ".join(parts) + "."

    def reasons_in_words(self) -> list[str]:
        """Why images were not delivered enhanced: one sentence for each status that has reasons."""
        told = []
        for status in _EXPLAINED:
            count = self.by_status[status]
            if count:
                why = ", ".join(
                    f"{n:,} {because(reason)}" for reason, n in self.reasons[status].most_common()
                )
                told.append(f"{count:,} {self._words(status)}: {why}.")
        return told

    def _words(self, status: str) -> str:
        if status == "kept":
            return "delivered as they came" if self.copied else "left as they came, not copied"
        return status

    def as_json(self) -> dict[str, Any]:
        """The counts for scripts, with the same keys in every command."""
        return {
            "images": self.images,
            "done": self.done,
            **{status: self.by_status[status] for status in STATUSES},
            **{f"{s}_by_reason": dict(sorted(r.items())) for s, r in self.reasons.items()},
            "headline": self.headline(),
        }


def because(reason: str) -> str:
    """Why an image was not delivered enhanced, in a few words."""
    return BECAUSE.get(reason) or " ".join(reason.split("_")) or "no reason given"
