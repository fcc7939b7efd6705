"""A page of its own for each flagged image: pictures, evidence, every measure and its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from magenet_batch import __version__
from magenet_batch.design import style_sheet, theme_script
from magenet_batch.records.schema import COLUMNS, FIDELITY_MEASURES, QUALITY_MEASURES, Row
from magenet_batch.report.limits import MEASURE_LIMITS, limit_text
from magenet_batch.report.page.charts import rank_bar
from magenet_batch.report.page.gallery import THREADS, make_pair
from magenet_batch.report.page.html import asset, environment
from magenet_batch.report.page.reviewing import NO_REVIEW
from magenet_batch.report.totals.totals import ReportTotals
from magenet_batch.report.words import number, visible, words
from magenet_batch.storage import Location, draft_of, sha256_of

PICTURE_PX = 1_200
_PAGE = re.compile(r"[0-9a-f]{20}\.html")
_MEASURED = {f"{n}_{when}" for n in QUALITY_MEASURES for when in ("before", "after")} | set(
    FIDELITY_MEASURES
)


@dataclass(frozen=True)
class Measure:
    """One measure of one image, and its place among the archive's images.

    Attributes:
        name: in words.
        value: as text.
        unit: of the value.
        rank: share of the archive's images with a lower value, 0..1; None when not known.
        bar: the place drawn on a line.
        meaning: of the measure.
        limit: beyond which it raises a flag, as text; empty where there is none.
        passed: whether the value is beyond it.
    """

    name: str
    value: str
    unit: str
    rank: float | None
    bar: str
    meaning: str
    limit: str
    passed: bool


def page_name(image_id: str) -> str:
    """The file name of an image's page: of a hash, since a name may hold anything."""
    digest = sha256_of(image_id.encode("utf-8", "surrogatepass"))
    return f"{digest[:20]}.html"


def addresses(found: ReportTotals, folder: str) -> dict[str, str]:
    """Image id -> address of its page, relative to the report.

    Args:
        found: the collected rows, with `reviewed` filled.
        folder: name of the folder of the pages, beside the report.
    """
    return {
        row["image_id"]: f"{folder}/{page_name(row['image_id'])}" for row in found.reviewed.rows()
    }


def _measure(row: Row, name: str, meaning: str, unit: str, histogram: Any) -> Measure:
    value = row.get(name)
    rank = histogram.rank(value)
    label = words(name)
    limit = MEASURE_LIMITS.get(name)
    return Measure(
        label, number(value), unit, rank, rank_bar(rank, title=label), meaning,
        limit=limit_text(name), passed=limit is not None and limit.passed_by(value),
    )  # fmt: skip


def _measures(found: ReportTotals, row: Row) -> list[tuple[str, list[Measure]]]:
    """Tables of measures: fidelity, quality before, quality after; empty ones left out."""
    rows = [
        _measure(row, name, meaning, unit, found.fidelity[name])
        for name, (unit, meaning) in FIDELITY_MEASURES.items()
        if row.get(name) is not None
    ]
    tables = [("Fidelity", rows)]
    for when, histograms in (("before", found.all_before), ("after", found.after)):
        rows = [
            _measure(row, f"{name}_{when}", meaning, unit, histograms[name])
            for name, (unit, meaning) in QUALITY_MEASURES.items()
            if row.get(f"{name}_{when}") is not None
        ]
        tables.append((f"Quality {when} enhancement", rows))
    return [table for table in tables if table[1]]


def _others(row: Row) -> list[tuple[str, str, str]]:
    """All other columns of the row that hold something: name, value, unit."""
    listed = []
    for column in COLUMNS:
        value = row.get(column.name)
        if column.name in _MEASURED or value in (None, "", []):
            continue
        if isinstance(value, list):
            value = ", ".join(words(visible(str(v))) for v in value)
        text = number(value) if isinstance(value, float) else visible(str(value))
        listed.append((words(column.name), text, column.unit))
    return listed


def _render(found: ReportTotals, row: Row, *, back: str, others: Mapping[str, str]) -> str:
    """One page; `others` are the addresses of the pages before and after it."""
    pair = make_pair(
        found.out, row, longest=PICTURE_PX, page=found.page, colour_model=found.colour_model
    )
    known = {column.name for column in COLUMNS}
    manifest = [
        (visible(key), visible(str(value)))
        for key, value in row.items()
        if key not in known and not key.startswith("__") and value is not None
    ]
    return (
        environment()
        .get_template("image.html")
        .render(
            css=Markup(style_sheet()),
            js=asset("viewer.js") + Markup(theme_script()),
            pair=pair,
            file_name=row["image_id"].rsplit("/", 1)[-1],
            pages={},
            in_gallery={},
            steps=[],
            review=NO_REVIEW,
            row=row,
            tables=_measures(found, row),
            rest=_others(row),
            manifest=manifest,
            back=back,
            around=others,
            version=__version__,
        )
    )


def write_pages(found: ReportTotals, folder: Location, *, report: str) -> int:
    """Write the page of each flagged image, and remove those of an earlier report.

    Args:
        found: the collected rows, with `reviewed` filled.
        folder: where to write; made when it is not there. Only files with names of such pages
            are ever removed.
        report: file name of the main page, which lies beside the folder.

    Returns:
        Number of pages.

    Raises:
        OSError: a page cannot be written.
    """
    rows = found.reviewed.rows()
    names = [page_name(row["image_id"]) for row in rows]
    folder.mkdir(parents=True, exist_ok=True)

    def write(place: int) -> None:
        around = {"previous": names[place - 1] if place else "",
                  "next": names[place + 1] if place + 1 < len(names) else ""}  # fmt: skip
        text = _render(found, rows[place], back=f"../{report}", others=around)
        with draft_of(folder / names[place]) as draft:
            draft.write_text(text, encoding="utf-8")

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, range(len(rows))))
    for path in folder.iterdir():
        if _PAGE.fullmatch(path.name) and path.name not in names:
            path.unlink()
    return len(rows)
