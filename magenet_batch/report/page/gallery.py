"""The gallery: a bounded selection of images, as small embedded pictures."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from PIL import Image

from magenet_batch.records.layout import set_aside_name
from magenet_batch.records.schema import Row
from magenet_batch.records.vocabulary import GRADES, can_be_reviewed, waits_for_review
from magenet_batch.report.page.pictures import data_uri, difference, inside, source_path, thumbnail
from magenet_batch.report.totals.totals import (
    BETTER,
    GAIN,
    MOST_VESSELS,
    PICKED,
    PICKED_BECAUSE,
    ReportTotals,
)
from magenet_batch.settings import ColourModel
from magenet_batch.storage import Location

THUMBNAIL_PX = 640
LEAD_PX = 880
EVIDENCE_PX = 960
LIMIT, LEAST_OTHERS = 24, 8
WELL_KEPT = 0.65
"""Fidelity of an image that had better lead the page."""
THREADS = 2


@dataclass(frozen=True)
class Pair:
    """One image of the gallery.

    Attributes:
        row: its row.
        why: keys of `PICKED_BECAUSE`: why it was selected.
        before: data URI of the source, None when it cannot be read any more.
        after: data URI of the enhanced image, likewise; also None when the image was not enhanced,
            or there is no picture of what was withheld.
        evidence: data URI of a picture of what changed; None when there is none.
        measured: whether the evidence is the job's own picture; a difference of both small
            pictures otherwise.
        changed: whether the difference shows anything.
        width: of the small pictures in pixels.
        height: of the small pictures in pixels.
        page: address of the image's own page, relative to the report; None without one.
    """

    row: Row
    why: tuple[str, ...]
    before: str | None
    after: str | None
    evidence: str | None
    measured: bool
    changed: bool
    width: int
    height: int
    page: str | None = None

    @property
    def reviewable(self) -> bool:
        """Whether a reviewer can decide about it in the page."""
        return "review" in self.why

    @property
    def after_word(self) -> str:
        """What the enhanced picture is called."""
        return "after, withheld" if self.row.get("status") == "withheld" else "after"

    @property
    def missing(self) -> str:
        """What should be here and is not, as a sentence; empty when nothing is missing."""
        far = "://" in (self.row.get("source") or "")
        original = "in an object store" if far else "not here any more"
        if self.row.get("status") != "enhanced":
            if self.before and not self.after and self.reviewable:
                return "There is no picture of the enhanced image that was withheld."
            return "" if self.before else f"The original is {original}."
        if self.before and self.after:
            return ""
        if self.before:
            return "The enhanced file is not here any more."
        if self.after:
            return f"The original is {original}."
        if far:
            return "The original is in an object store; the enhanced file is not here any more."
        return "Neither the original nor the enhanced file is here any more."


def _evidence(
    out: Location, row: Row, before: Image.Image | None, after: Image.Image | None, *, longest: int
) -> tuple[Image.Image | None, bool, bool]:
    """The job's picture of what changed, else an own one.

    Returns:
        The picture, whether it is the job's, and whether it shows anything.
    """
    path = inside(out, row.get("evidence"))
    found = None if path is None else thumbnail(path, longest=longest)
    if found is not None:
        return found, True, True
    if before is None or after is None:
        return None, False, False
    drawn, seen = difference(before, after)
    return drawn, False, seen


def _enhanced_file(out: Location, row: Row) -> Location | None:
    """The enhanced image: as delivered, set aside, or the small picture of what was withheld."""
    if row.get("status") == "enhanced":
        return inside(out, row.get("output"))
    if row.get("status") != "withheld":
        return None
    aside = None
    with contextlib.suppress(ValueError, TypeError, KeyError):
        aside = inside(out, set_aside_name(json.loads(row.get("before_review") or "{}")["output"]))
    return aside or inside(out, row.get("preview"))


def make_pair(
    out: Location,
    row: Row,
    why: tuple[str, ...] = (),
    *,
    longest: int,
    page: int | None,
    colour_model: ColourModel | None,
    href: str | None = None,
) -> Pair:
    """Read and encode one image's pictures.

    Args:
        out: the job's output folder.
        row: the image's row.
        why: keys of `PICKED_BECAUSE`.
        longest: longest side of the pictures in pixels.
        page: which picture to show of a source that holds several.
        colour_model: what colour DICOM sources hold, against their label.
        href: address of the image's own page.

    Returns:
        The pair; what cannot be read any more is None in it.
    """
    source, enhanced = source_path(row), _enhanced_file(out, row)
    read = partial(thumbnail, longest=longest, page=page, colour_model=colour_model)
    before = None if source is None else read(source)
    after = None if enhanced is None else thumbnail(enhanced, longest=longest)
    if before is None and row.get("status") != "enhanced":
        # what is not delivered enhanced is the original itself
        original = inside(out, row.get("output"))
        before = None if original is None else read(original)
    shown = after or before
    size = shown.size if shown is not None else (longest, longest)
    if before is not None and after is not None and before.size != after.size:
        before = before.resize(after.size, Image.Resampling.BILINEAR)
    evidence, measured, changed = _evidence(
        out, row, before, after, longest=max(longest, EVIDENCE_PX)
    )
    return Pair(
        row=row,
        why=why,
        before=None if before is None else data_uri(before),
        after=None if after is None else data_uri(after),
        evidence=None if evidence is None else data_uri(evidence, quality=72),
        measured=measured,
        changed=changed,
        width=size[0],
        height=size[1],
        page=href,
    )


def select(found: ReportTotals) -> list[tuple[Row, tuple[str, ...]]]:
    """Choose the gallery's images: those to review, then some of every kind, each once.

    Args:
        found: the collected rows.

    Returns:
        `(row, reasons)`, in the order in which they are shown: all kinds that an image is of.
    """
    chosen: dict[str, tuple[Row, list[str]]] = {
        row["image_id"]: (row, _kinds(row, decided_here=True)) for row in found.waiting.rows()
    }
    ranked: dict[str, list[Row]] = {why: found.picks[why].rows() for why in PICKED}
    room = max(LIMIT, len(chosen) + LEAST_OTHERS)
    for place in range(max((len(r) for r in ranked.values()), default=0)):
        for why in PICKED:
            if place >= len(ranked[why]):
                continue
            row = ranked[why][place]
            known: Any = chosen.get(row["image_id"])
            if known is None and len(chosen) < room:
                known = chosen[row["image_id"]] = (row, _kinds(row))
            if known is not None and why not in known[1]:
                known[1].append(why)
    return [(row, tuple(why)) for row, why in chosen.values()]


def fell(row: Row) -> bool:
    """Whether the grade after is worse than the grade before."""
    before, after = row.get("grade_before"), row.get("grade_after")
    if before not in GRADES or after not in GRADES:
        return False
    return GRADES.index(after) > GRADES.index(before)


def _kinds(row: Row, *, decided_here: bool = False) -> list[str]:
    """What an image is, whatever it was chosen for."""
    kinds = {
        "review": decided_here and can_be_reviewed(row.get("status"), row.get("reason")),
        "withheld": row.get("status") == "withheld",
        "fell": fell(row),
        "flagged": bool(row.get("flags")),
        "text": bool(row.get("burned_in_text")),
        "noted": bool(row.get("decoder_note")),
    }
    return [kind for kind in PICKED_BECAUSE if kinds.get(kind)]


def waits(row: Row) -> bool:
    """Whether an image waits for a reviewer."""
    return waits_for_review(
        row.get("status"), row.get("reason"), flagged=bool(row.get("flags")),
        decision=row.get("decision"),
    )  # fmt: skip


def gained(row: Row) -> bool:
    """Whether an image is better than it came: more gained than lost, and no worse grade."""
    changes = [
        (row[f"{name}_after"] - row[f"{name}_before"]) * BETTER[name]
        for name in GAIN
        if row.get(f"{name}_after") is not None and row.get(f"{name}_before") is not None
    ]
    vessels = row.get("vessel_contrast")
    changes.append(0.0 if vessels is None else min(vessels - 1, MOST_VESSELS))
    return sum(changes) > 0 and not fell(row)


def leads(out: Location, row: Row) -> bool:
    """Whether an image may lead the page: delivered enhanced, better, and nothing is doubted."""
    return bool(
        row.get("status") == "enhanced"
        and not row.get("flags")
        and row.get("decision") != "withhold"
        and gained(row)
        and source_path(row)
        and inside(out, row.get("output"))
    )


@dataclass(frozen=True)
class Gallery:
    """The pictures of a page.

    Attributes:
        lead: the one beside the headline; None where no image is fit to stand there.
        pairs: the others, those to review first.
    """

    lead: Pair | None
    pairs: list[Pair]

    @property
    def all(self) -> list[Pair]:
        """All pairs, the leading one first."""
        return ([] if self.lead is None else [self.lead]) + self.pairs


def make_gallery(found: ReportTotals, *, pages: Mapping[str, str] | None = None) -> Gallery:
    """Read and encode the gallery's images.

    The page is led by the largest gain that nothing was flagged on, in more pixels: never by an
    image that was withheld or became worse.

    Args:
        found: the collected rows.
        pages: image id -> address of the image's own page.

    Returns:
        The pictures: `LIMIT`, or where many are to review, these and `LEAST_OTHERS`.
    """
    chosen = select(found)
    gains = [row["image_id"] for row in found.picks["gain"].rows()]
    fit = [i for i, (row, _) in enumerate(chosen) if leads(found.out, row)]
    fit.sort(key=lambda i: (_doubtful(chosen[i][0]), _place(chosen[i][0]["image_id"], gains), i))
    if fit:
        chosen.insert(0, chosen.pop(fit[0]))

    def made(one: tuple[int, tuple[Row, tuple[str, ...]]]) -> Pair:
        place, (row, why) = one
        href = (pages or {}).get(row["image_id"])
        longest = LEAD_PX if fit and not place else THUMBNAIL_PX
        return make_pair(
            found.out, row, why, longest=longest, page=found.page,
            colour_model=found.colour_model, href=href,
        )  # fmt: skip

    with ThreadPoolExecutor(THREADS) as pool:
        pairs = list(pool.map(made, enumerate(chosen)))
    return Gallery(pairs[0] if fit else None, pairs[1:] if fit else pairs)


def _doubtful(row: Row) -> bool:
    """Whether the anatomy of an image may have changed."""
    return (row.get("fidelity") or 0.0) < WELL_KEPT


def _place(image_id: str, ranked: list[str]) -> int:
    return ranked.index(image_id) if image_id in ranked else len(ranked)
