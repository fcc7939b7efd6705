"""The gallery: a bounded selection of images, as small embedded pictures."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from PIL import Image

from magenet_batch.records.schema import Row
from magenet_batch.report.page.pictures import data_uri, difference, inside, source_path, thumbnail
from magenet_batch.report.totals.totals import PICKED_BECAUSE, ReportTotals
from magenet_batch.storage import Location

THUMBNAIL_PX = 640
LEAD_PX = 880
EVIDENCE_PX = 960
LIMIT = 24
THREADS = 2


@dataclass(frozen=True)
class Pair:
    """One image of the gallery.

    Attributes:
        row: its row.
        why: keys of `PICKED_BECAUSE`: why it was selected.
        before: data URI of the source, None when it cannot be read any more.
        after: data URI of the output, likewise; also None when the image was not enhanced.
        evidence: data URI of a picture of what changed; None when there is none.
        measured: whether the evidence is the job's own picture; a difference of both small
            pictures otherwise.
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
    width: int
    height: int
    page: str | None = None

    @property
    def missing(self) -> str:
        """What should be here and is not, as a sentence; empty when nothing is missing."""
        far = "://" in (self.row.get("source") or "")
        original = "in an object store" if far else "not here any more"
        if self.row.get("status") != "enhanced":
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
) -> tuple[Image.Image | None, bool]:
    """The job's picture of what changed, else an own one; and whether it is the job's."""
    path = inside(out, row.get("evidence"))
    found = None if path is None else thumbnail(path, longest=longest)
    if found is not None:
        return found, True
    if before is None or after is None:
        return None, False
    return difference(before, after), False


def make_pair(
    out: Location,
    row: Row,
    why: tuple[str, ...] = (),
    *,
    longest: int,
    page: int | None,
    href: str | None = None,
) -> Pair:
    """Read and encode one image's pictures.

    Args:
        out: the job's output folder.
        row: the image's row.
        why: keys of `PICKED_BECAUSE`.
        longest: longest side of the pictures in pixels.
        page: which picture to show of a source that holds several.
        href: address of the image's own page.

    Returns:
        The pair; what cannot be read any more is None in it.
    """
    source, output = source_path(row), inside(out, row.get("output"))
    before = None if source is None else thumbnail(source, longest=longest, page=page)
    after = None if output is None else thumbnail(output, longest=longest)
    if row.get("status") != "enhanced":
        # a kept output is the original itself
        before, after = before or after, None
    shown = after or before
    size = shown.size if shown is not None else (longest, longest)
    if before is not None and after is not None and before.size != after.size:
        before = before.resize(after.size, Image.Resampling.BILINEAR)
    evidence, measured = _evidence(out, row, before, after, longest=max(longest, EVIDENCE_PX))
    return Pair(
        row=row,
        why=why,
        before=None if before is None else data_uri(before),
        after=None if after is None else data_uri(after),
        evidence=None if evidence is None else data_uri(evidence, quality=72),
        measured=measured,
        width=size[0],
        height=size[1],
        page=href,
    )


def select(found: ReportTotals) -> list[tuple[Row, tuple[str, ...]]]:
    """Choose the gallery's images: some of every kind, each once, with all reasons for it.

    Args:
        found: the collected rows.

    Returns:
        `(row, reasons)`, in the order in which they are shown.
    """
    ranked: dict[str, list[Row]] = {why: top.rows() for why, top in found.picks.items()}
    chosen: dict[str, tuple[Row, list[str]]] = {}
    for place in range(max((len(r) for r in ranked.values()), default=0)):
        for why in PICKED_BECAUSE:
            if place >= len(ranked[why]):
                continue
            row = ranked[why][place]
            known: Any = chosen.get(row["image_id"])
            if known is not None:
                known[1].append(why)
            elif len(chosen) < LIMIT:
                chosen[row["image_id"]] = (row, [why])
    return [(row, tuple(why)) for row, why in chosen.values()]


def _leads(out: Location, row: Row) -> tuple[bool, bool]:
    """Sorts what may lead the page first: both pictures are there, and nothing is flagged."""
    enhanced = row.get("status") == "enhanced" and inside(out, row.get("output"))
    return not (enhanced and source_path(row)), bool(row.get("flags"))


def make_gallery(found: ReportTotals, *, pages: Mapping[str, str] | None = None) -> list[Pair]:
    """Read and encode the gallery's images.

    The first one leads the page: the largest gain that nothing was flagged on, in more pixels.

    Args:
        found: the collected rows.
        pages: image id -> address of the image's own page.

    Returns:
        At most `LIMIT` pairs.
    """
    chosen = select(found)
    if not chosen:
        return []
    chosen.insert(
        0, chosen.pop(min(range(len(chosen)), key=lambda i: _leads(found.out, chosen[i][0])))
    )

    def made(one: tuple[int, tuple[Row, tuple[str, ...]]]) -> Pair:
        place, (row, why) = one
        href = (pages or {}).get(row["image_id"])
        longest = THUMBNAIL_PX if place else LEAD_PX
        return make_pair(found.out, row, why, longest=longest, page=found.page, href=href)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(made, enumerate(chosen)))
