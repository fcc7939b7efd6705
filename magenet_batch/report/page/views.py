"""What the page shows, made ready for the template: sentences, charts and tables."""

from __future__ import annotations

import json
from typing import Any

from markupsafe import Markup

from magenet_batch.records.schema import FIDELITY_MEASURES, QUALITY_MEASURES, Row
from magenet_batch.records.vocabulary import GRADES, STATUSES
from magenet_batch.report.limits import limit_text
from magenet_batch.report.page.charts import Series, histogram_chart, stacked_bar
from magenet_batch.report.totals.groups import MAX_VALUES, Total
from magenet_batch.report.totals.totals import BETTER, ReportTotals
from magenet_batch.report.words import (
    images,
    number,
    percent,
    status_words,
    told,
    visible,
    words,
)

GROUP_TABLES = 8
"""Maximum number of manifest columns with a table."""
STAGES = {"read_s": "read", "enhance_s": "enhance", "measure_s": "measure", "write_s": "write"}


def verdict(found: ReportTotals) -> dict[str, Any]:
    """How many images became gradable: the first few words, the rest, and the same as a tile."""
    said = found.outcome.gradable_sentence()
    first, colon, rest = said.partition(": ")
    gradable = found.outcome.gradable
    changed = gradable.gained or gradable.lost
    return {
        "verdict": f"{first}." if colon else said,
        "verdict_rest": rest[:1].upper() + rest[1:],
        "gradable": ("became gradable", gradable.gained)
        if changed
        else ("gradable, as before", gradable.before),
    }


def sentences(found: ReportTotals) -> list[str]:
    """Why images were not delivered enhanced, and what is flagged, for the top of the page."""
    told = found.outcome.reasons_in_words()
    if found.flagged:
        told.append(f"{found.flagged:,} flagged.")
    elif found.images > found.status["failed"]:
        told.append("Nothing is flagged.")
    return told + found.outcome.files_in_words() + found.outcome.review_in_words()


def least_fidelity(row: Row) -> str:
    """The fidelity below which the row's policy withholds; empty where it does not."""
    try:
        least = json.loads(row.get("policy") or "").get("fidelity")
    except (ValueError, AttributeError):
        return ""
    return f"{least:g}" if isinstance(least, (int, float)) else ""


def grade_sentence(found: ReportTotals) -> str:
    """What enhancing did to the grades, in one sentence; empty without grades."""
    total = sum(found.grades.flow.values())
    if not total:
        return ""
    better, worse = found.grades.moved()
    came, delivered = found.grades.came(GRADES[0]), found.grades.delivered(GRADES[0])
    return (
        f"{percent(came / total)} came good, {percent(delivered / total)} are delivered good. "
        f"{images(better)} rose by a grade or two, {worse:,} fell."
    )


def quality_charts(found: ReportTotals) -> list[dict[str, Any]]:
    """One chart per quality measure that was measured, before and after."""
    charts = []
    for name, (unit, meaning) in QUALITY_MEASURES.items():
        before, after = found.before[name], found.after[name]
        if not before.n + after.n:
            continue
        better, compared = found.better[name]
        series = [Series(before, "before", "before"), Series(after, "after", "after")]
        direction = {1: "higher is better", -1: "lower is better"}.get(BETTER.get(name, 0), "")
        charts.append(
            {
                "name": words(name),
                "meaning": meaning,
                "direction": direction,
                "before": number(before.quantile(0.5)),
                "after": number(after.quantile(0.5)) if after.n else "",
                "better": percent(better / compared) if compared and name in BETTER else "",
                "svg": histogram_chart(series, title=words(name), axis=f"{words(name)} ({unit})"),
            }
        )
    return charts


def fidelity_charts(found: ReportTotals) -> list[dict[str, Any]]:
    """One chart per fidelity measure that was measured, the overall one first."""
    charts = []
    for name in sorted(FIDELITY_MEASURES, key=lambda n: n != "fidelity"):
        unit, meaning = FIDELITY_MEASURES[name]
        h = found.fidelity[name]
        if not h.n:
            continue
        charts.append(
            {
                "name": words(name),
                "meaning": meaning,
                "limit": limit_text(name),
                "median": number(h.quantile(0.5)),
                "low": number(h.quantile(0.05)),
                "high": number(h.quantile(0.95)),
                "svg": histogram_chart(
                    [Series(h, "after", "enhanced images")],
                    title=words(name),
                    axis=f"{words(name)} ({unit})",
                ),
            }
        )
    return charts


def group_tables(found: ReportTotals) -> list[dict[str, Any]]:
    """Tables of totals: folders, then manifest columns; and a note where one is left out."""
    tables = [{"title": "folder", "rows": _group_rows(found.folders.result())}]
    results = [(column, column.result()) for column in found.columns]
    for column, rows in [r for r in results if r[1]][:GROUP_TABLES]:
        tables.append({"title": visible(column.name), "rows": _group_rows(rows)})
    return tables


def groups_left_out(found: ReportTotals) -> list[str]:
    """Manifest columns without a table, each with why."""
    notes, shown = [], 0
    for column in found.columns:
        name = visible(column.name)
        if column.result():
            shown += 1
            if shown > GROUP_TABLES:
                notes.append(f"{name} (more than {GROUP_TABLES} columns)")
        elif column.totals is None:
            notes.append(f"{name} (more than {MAX_VALUES} values)")
        elif len(column.totals) > 1:
            notes.append(f"{name} (nearly every image has a value of its own)")
    return notes


def _group_rows(result: list[tuple[str, Total]]) -> list[dict[str, Any]]:
    return [
        {
            "key": key,
            "total": total,
            "bar": stacked_bar(
                [(f"part {s}", status_words(s), float(total.counts[s])) for s in STATUSES],
                title=f"{visible(key)} by status",
            ),
        }
        for key, total in result
    ]


def status_bar(found: ReportTotals) -> Markup:
    """All images by status, as one bar."""
    parts = [(f"part {s}", status_words(s), float(found.status[s])) for s in STATUSES]
    return stacked_bar(parts, title="images by status")


def grade_bar(found: ReportTotals) -> Markup:
    """Images by the grade that they came with, as one bar; empty without grades."""
    if not any(found.grades.before.values()):
        return Markup("")
    parts = [(f"grade {g}", g, float(found.grades.before[g])) for g in GRADES]
    return stacked_bar(parts, title="images by grade")


def stage_parts(found: ReportTotals) -> list[tuple[str, str, float]]:
    """Mean seconds per image of each stage, as parts of a bar; empty where not recorded."""
    means = [(f"part stage{i}", label, found.seconds[column].mean or 0.0)
             for i, (column, label) in enumerate(STAGES.items())]  # fmt: skip
    return means if any(m for _, _, m in means) else []


def stage_rows(found: ReportTotals) -> list[dict[str, Any]]:
    """Seconds per image of each stage: mean, median, 95 %, and all together."""
    return [
        {"label": label, "css": f"stage{i}", "sum": found.seconds[column].total,
         **found.seconds[column].summary()}
        for i, (column, label) in enumerate(STAGES.items())
        if found.seconds[column].n
    ]  # fmt: skip


def options(found: ReportTotals) -> list[tuple[str, str]]:
    """What decided the outputs, from the job's record."""
    return [
        (words(visible(str(key))), told(value))
        for key, value in found.run.options.items()
        if value not in (None, [], "")
    ]


def ranking(rows: list[Row], *, measure: str) -> list[dict[str, Any]]:
    """The first few rows of a selection, with the numbers that put them there.

    Args:
        rows: in order.
        measure: `gain` or `fidelity`.

    Returns:
        One entry per row: `id`, `value` (text), `flags`.
    """
    return [
        {
            "id": row["image_id"],
            "value": _gain_text(row) if measure == "gain" else _fidelity_text(row),
            "flags": [words(visible(flag)) for flag in row.get("flags") or []],
        }
        for row in rows
    ]


def _gain_text(row: Row) -> str:
    """The contrast of vessels if it rose, and the two measures that gained most."""
    known = [
        (BETTER[name] * (row[f"{name}_after"] - row[f"{name}_before"]), name)
        for name in BETTER
        if row.get(f"{name}_before") is not None and row.get(f"{name}_after") is not None
    ]
    vessels = row.get("vessel_contrast")
    risen = vessels is not None and vessels > 1
    said = [f"contrast of vessels × {number(vessels, digits=3)}"] if risen else []
    for _, name in sorted(known, reverse=True)[:2]:
        values = [number(row[f"{name}_{when}"], digits=2) for when in ("before", "after")]
        said.append(f"{words(name)} {values[0]} → {values[1]}")
    return ", ".join(said)


def _fidelity_text(row: Row) -> str:
    if row.get("fidelity") is not None:
        return f"fidelity {number(row['fidelity'], digits=2)}"
    return f"agreement of vessels {number(row.get('structure_agreement'), digits=2)}"
