"""The outcome of a job, in numbers that add up: the only place that words it.

Every image is delivered enhanced, delivered as it came, withheld, only assessed, failed, or
pending. The terminal, `magenet status` and all formats of the report use these words and counts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from magenet_batch.records.vocabulary import (
    BECAUSE,
    DECISIONS,
    GRADES,
    STATUSES,
    waits_for_review,
)

_EXPLAINED = ("kept", "withheld", "failed")
"""Statuses whose rows have a reason."""


@dataclass
class Gradable:
    """How many images can be graded for disease: their own grade is good or usable.

    Attributes:
        graded: images with a grade as they came and as they are delivered.
        before: of these, gradable as they came.
        gained: gradable as delivered alone.
        lost: gradable as they came alone.
    """

    graded: int = 0
    before: int = 0
    gained: int = 0
    lost: int = 0

    @property
    def delivered(self) -> int:
        """Gradable as delivered."""
        return self.before + self.gained - self.lost

    def add(self, before: str | None, delivered: str | None, count: int) -> None:
        """Count images of one grade as they came and as they are delivered."""
        if before not in GRADES or delivered not in GRADES:
            return
        was, now = before != GRADES[-1], delivered != GRADES[-1]
        self.graded += count
        self.before += count * was
        self.gained += count * (now and not was)
        self.lost += count * (was and not now)

    def as_json(self) -> dict[str, int]:
        """The counts for scripts."""
        return {
            "graded": self.graded, "before": self.before, "delivered": self.delivered,
            "gained": self.gained, "lost": self.lost,
        }  # fmt: skip


@dataclass
class Outcome:
    """Numbers of images by outcome.

    Attributes:
        planned: number of images in the archive; None if unknown: those with a row count.
        by_status: number of images with a row, by status.
        reasons: number of images by status and reason, for statuses that have reasons.
        copied: whether kept images are copied into the output folder.
        gradable: how many can be graded for disease.
        flagged: number of images with at least one flag.
        waiting: number of images that wait for a reviewer, by status.
        reviewed: number of images that a reviewer decided about, by decision.
        noted: number of images with a note about what was unusual about their file.
        lettered: number of images that seem to show text outside the field of view.
        poor: number of images that are delivered, enhanced or as they came, and graded reject.
    """

    planned: int | None = None
    by_status: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, Counter[str]] = field(
        default_factory=lambda: {status: Counter() for status in _EXPLAINED}
    )
    copied: bool = True
    gradable: Gradable = field(default_factory=Gradable)
    flagged: int = 0
    waiting: Counter[str] = field(default_factory=Counter)
    reviewed: Counter[str] = field(default_factory=Counter)
    noted: int = 0
    lettered: int = 0
    poor: int = 0

    def add(
        self,
        status: str,
        reason: str | None,
        count: int = 1,
        *,
        flagged: bool = False,
        noted: bool = False,
        lettered: bool = False,
        decision: str | None = None,
        grades: tuple[str | None, str | None] = (None, None),
    ) -> None:
        """Count images that are alike.

        Args:
            status: what became of them.
            reason: why.
            count: how many they are.
            flagged: whether they carry a flag.
            noted: whether they have a note about their file.
            lettered: whether they seem to show text outside the field of view.
            decision: of a reviewer.
            grades: before and after enhancement.
        """
        self.by_status[status] += count
        if status in self.reasons:
            self.reasons[status][reason or ""] += count
        self.flagged += count * flagged
        self.noted += count * noted
        self.lettered += count * lettered
        if decision in DECISIONS:
            self.reviewed[decision] += count
        if waits_for_review(status, reason, flagged=flagged, decision=decision):
            self.waiting[status] += count
        before, after = grades
        if status != "failed":
            # what is not delivered enhanced has the grade it came with
            delivered = after if status == "enhanced" else before
            self.gradable.add(before, delivered, count)
            self.poor += count * (status in ("enhanced", "kept") and delivered == GRADES[-1])

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

    def gradable_sentence(self) -> str:
        """How many images became gradable, or are if none did; empty without grades."""
        found = self.gradable
        if not found.graded:
            return ""
        if self.assessed_only or not (found.gained or found.lost):
            said = self._gradable_of(found.before)
            if self.assessed_only or not found.before:
                return f"{said}."
            which = "it" if found.before == 1 else f"all {found.before:,}"
            return f"{said}: {which} already {_were(found.before)} before."
        changed = []
        if found.gained:
            changed.append(f"{image_count(found.gained)} became gradable")
        if found.lost:
            who = f"{found.lost:,}" if changed else image_count(found.lost)
            changed.append(f"{who} {_are(found.lost)} no longer{'' if changed else ' gradable'}")
        was = f"{found.before:,} of {found.graded:,} {_were(found.before)} before"
        now = f"{found.delivered:,} {_are(found.delivered)} as delivered"
        return f"{' and '.join(changed)}: {was}, {now}."

    def _gradable_of(self, count: int) -> str:
        """How many of the images with a grade are gradable, in words."""
        total = self.gradable.graded
        noun = "image" if total == self.images else "graded image"
        if total == 1:
            return f"The one {noun} is {'' if count else 'not '}gradable"
        if not count:
            return f"None of the {total:,} {noun}s is gradable"
        share = f"All {total:,}" if count == total else f"{count:,} of {total:,}"
        return f"{share} {noun}s {_are(count)} gradable"

    def review_in_words(self) -> list[str]:
        """What waits for a reviewer, and what was decided; one sentence each."""
        told = []
        waiting = self.waiting.total()
        if waiting:
            kinds = {"enhanced": "delivered enhanced with a flag", "withheld": "withheld"}
            parts = [f"{self.waiting[s]:,} {w}" for s, w in kinds.items() if self.waiting[s]]
            told.append(f"{waiting:,} to review: {', '.join(parts)}.")
        if self.reviewed.total():
            words = {"deliver": "to deliver", "withhold": "to withhold"}
            parts = [f"{self.reviewed[d]:,} {words[d]}" for d in DECISIONS if self.reviewed[d]]
            told.append(f"{self.reviewed.total():,} reviewed: {', '.join(parts)}.")
        return told

    def files_in_words(self) -> list[str]:
        """How many files were unusual, or seem to show text; one sentence each."""
        told = []
        if self.noted:
            told.append(f"{self.noted:,} with a note about the file.")
        if self.lettered:
            told.append(f"{self.lettered:,} with what looks like text outside the field of view.")
        return told

    def lines(self) -> list[str]:
        """All that is told of an archive, the most important first: the same in every command."""
        first = [line for line in (self.gradable_sentence(), self.headline()) if line]
        rest = self.reasons_in_words()
        if self.flagged:
            rest.append(f"{self.flagged:,} flagged.")
        rest += [*self.files_in_words(), *self.review_in_words()]
        return first + [f"  {line}" for line in rest]

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
            "verdict": self.gradable_sentence(),
            "headline": self.headline(),
            "became_gradable": self.gradable.gained,
            "gradable": self.gradable.as_json(),
            "flagged": self.flagged,
            "noted": self.noted,
            "burned_in_text": self.lettered,
            "to_review": self.waiting.total(),
            "reviewed": {decision: self.reviewed[decision] for decision in DECISIONS},
        }


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def image_count(count: int) -> str:
    """A number of images in words."""
    return f"{count:,} image" if count == 1 else f"{count:,} images"


def because(reason: str) -> str:
    """Why an image was not delivered enhanced, in a few words."""
    return BECAUSE.get(reason) or " ".join(reason.split("_")) or "no reason given"
