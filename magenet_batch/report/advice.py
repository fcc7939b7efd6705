"""What to do next: true sentences about the rows, the most useful first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from magenet_batch.records.layout import PENDING
from magenet_batch.records.outcome import because
from magenet_batch.records.vocabulary import NEVER_ENHANCED
from magenet_batch.report.totals.groups import Total
from magenet_batch.report.totals.totals import ReportTotals
from magenet_batch.report.words import images, percent, visible

NAMED = 6
"""Images that a step names."""
LEAST_IN_FOLDER = 3
"""A folder with fewer images is no folder to judge."""
STANDS_OUT = 1.25
"""A folder is named when its share of unusable images is this many times that of the archive."""


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        key: what it is about: `review`, `retake`, `failed`, `text`, `folder`, `lost`, `poor`,
            `ungradable`, `pending` or `none`.
        text: one or two sentences.
        count: images that it is about.
        images: ids of the first few.
        show: which images the page shows for it: a key of its filters, empty for none.
    """

    key: str
    text: str
    count: int = 0
    images: tuple[str, ...] = ()
    show: str = ""

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {"what": self.key, "text": self.text, "count": self.count,
                "images": list(self.images)}  # fmt: skip


def next_steps(found: ReportTotals) -> list[Step]:
    """What to do next, the most useful first; never empty where there are images.

    Args:
        found: the collected rows.
    """
    if not found.images:
        return []
    if found.assessed_only:
        made = [_ungradable(found), _failed(found), _text(found), _worst_folder(found)]
    else:
        made = [_pending(found), _review(found), _lost(found), _retake(found), _poor(found),
                _failed(found), _text(found), _worst_folder(found)]  # fmt: skip
    steps = [step for step in made if step is not None]
    return steps or [Step("none", "Nothing: no image waits for a person, and none failed.")]


def _pending(found: ReportTotals) -> Step | None:
    if not (found.out / PENDING).is_file():
        return None
    return Step("pending", "Applying decisions was interrupted: run magenet review again.")


def _review(found: ReportTotals) -> Step | None:
    outcome = found.outcome
    count = outcome.waiting.total()
    if not count:
        return None
    kinds = {"enhanced": "delivered with a flag", "withheld": "withheld"}
    parts = " and ".join(f"{outcome.waiting[s]:,} {w}" for s, w in kinds.items()
                         if outcome.waiting[s])  # fmt: skip
    waiting = [row for row in found.waiting.rows() if not row.get("decision")]
    named = tuple(row["image_id"] for row in waiting[:NAMED])
    which = "this image" if count == 1 else f"these {count:,} images"
    first = "" if count <= NAMED else f", these {NAMED} first"
    why = {r: n for r, n in outcome.reasons["withheld"].items() if r not in NEVER_ENHANCED}
    because_of = ", ".join(f"{because(r)} ({n:,})" for r, n in _most(why)) if why else ""
    told = f" Withheld because: {because_of}." if because_of else ""
    return Step("review", f"Open {which} and decide{first}: {parts}.{told}", count, named, "review")


def _most(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))


def _lost(found: ReportTotals) -> Step | None:
    lost = found.outcome.gradable.lost
    if not lost:
        return None
    verb = "was gradable and is" if lost == 1 else "were gradable and are"
    return Step("lost", f"{images(lost)} {verb} not as delivered: withhold what looks worse.",
                lost, show="fell")  # fmt: skip


def _retake(found: ReportTotals) -> Step | None:
    never = {r: found.outcome.reasons["withheld"][r] for r in NEVER_ENHANCED}
    count = sum(never.values())
    if not count:
        return None
    why = ", ".join(f"{because(r)} ({n:,})" for r, n in _most(never) if n)
    them, verb = ("it", "it was") if count == 1 else ("them", "they were")
    text = f"Photograph {images(count)} again, or leave {them} out: {verb} not enhanced: {why}."
    if never["reject"]:
        text += (
            " With --policy all, a job into another folder shows what the network makes of them."
        )
    return Step("retake", text, count, show="withheld")


def _poor(found: ReportTotals) -> Step | None:
    count = found.outcome.poor
    if not count:
        return None
    them = "it" if count == 1 else "them"
    text = f"Look at {images(count)} before you use {them}: delivered, but graded reject."
    return Step("poor", text, count)


def _ungradable(found: ReportTotals) -> Step | None:
    gradable = found.outcome.gradable
    count = gradable.graded - gradable.before
    if not count:
        return None
    named = tuple(row["image_id"] for row in found.picks["poor"].rows()[: min(NAMED, count)])
    which = "this image" if count == 1 else f"these {count:,} images"
    first = "" if count <= NAMED else f", the {NAMED} poorest first"
    return Step("ungradable", f"Look at {which}{first}: graded reject.", count, named, "poor")


def _failed(found: ReportTotals) -> Step | None:
    count = found.status["failed"]
    if not count:
        return None
    why = ", ".join(
        f"{because(r)} ({n:,})" for r, n in _most(dict(found.outcome.reasons["failed"]))
    )
    named = tuple(i for f in found.failures.values() for i, _ in f.examples)[:NAMED]
    return Step("failed", f"Check {images(count)} that failed: {why}. The originals are untouched.",
                count, named, "failed")  # fmt: skip


def _text(found: ReportTotals) -> Step | None:
    count = found.outcome.lettered
    if not count:
        return None
    named = tuple(row["image_id"] for row in found.picks["text"].rows()[:NAMED])
    them, their = ("it", "its") if count == 1 else ("them", "their")
    text = (
        f"Look at {images(count)} before you share {them}: what looks like text outside {their} "
        "field of view may name the patient. Enhancing does not remove it."
    )
    return Step("text", text, count, named, "text")


def _worst_folder(found: ReportTotals) -> Step | None:
    """The folder with the largest share of images that nobody can use, if one stands out."""
    folders = [(k, t) for k, t in found.folders.result() if t.images >= LEAST_IN_FOLDER]
    if len(folders) < 2:
        return None

    def share(total: Total) -> float:
        return total.unusable / total.images

    name, worst = max(folders, key=lambda f: (share(f[1]), f[1].unusable))
    everywhere = sum(t.unusable for _, t in found.folders.result()) / found.images
    if share(worst) <= STANDS_OUT * everywhere:
        return None
    called = "The archive's own folder" if name == "." else visible(name)
    how = "" if found.assessed_only else " as delivered"
    return Step(
        "folder",
        f"{called} is the worst folder: {worst.unusable:,} of {worst.images:,} images are not "
        f"gradable{how} or failed ({percent(share(worst))}; in the whole archive "
        f"{percent(everywhere)}).",
        worst.unusable,
    )
