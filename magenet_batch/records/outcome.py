"""What became of an archive, in numbers that add up: said here once, for everything that says it.

Every image is delivered enhanced, delivered as it came, withheld, only assessed, failed, or not
done yet. The terminal, `magenet status` and the report in all its forms use these words and counts.
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
    """Images by what became of them.

    Attributes:
        planned: images of the archive; None where it is not known: those with a row.
        by_status: status -> images with a row.
        reasons: status -> reason -> images; of those statuses that have reasons.
        copied: whether images that are kept are put into the output folder.
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
        """Images with a row."""
        return self.by_status.total()

    @property
    def images(self) -> int:
        """All images: those with a row, and those that are not done yet."""
        return max(self.done, self.planned or 0)

    @property
    def pending(self) -> int:
        """Images without a row."""
        return self.images - self.done

    @property
    def assessed_only(self) -> bool:
        """Whether nothing was enhanced, because nothing was to be."""
        delivered = sum(self.by_status[status] for status in ("enhanced", "kept", "withheld"))
        return bool(self.by_status["assessed"]) and not delivered

    def headline(self) -> str:
        """What became of the archive, in one sentence whose numbers add up to it."""
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
        """The counts for scripts, the same keys in every command."""
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
