"""The report for scripts and chats: JSON, CSV, Markdown."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterator
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.compute as pc

from magenet_batch.records.columns import plain_values
from magenet_batch.records.reading import FILE, PLACE, open_rows
from magenet_batch.records.schema import FIDELITY_MEASURES, QUALITY_MEASURES
from magenet_batch.records.vocabulary import GRADES
from magenet_batch.report.totals.groups import AVERAGED, Total
from magenet_batch.report.totals.totals import BETTER, ReportTotals
from magenet_batch.report.words import number, percent, visible
from magenet_batch.storage import Location

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Text that begins so is taken for a formula by some spreadsheet program."""


def speed(found: ReportTotals) -> dict[str, float | None]:
    """Wall time, images per second and megapixels per second; None where not recorded."""
    seconds = found.run.seconds
    if not seconds or seconds <= 0:
        return {"seconds": None, "images_per_s": None, "megapixels_per_s": None}
    return {
        "seconds": seconds,
        "images_per_s": found.images / seconds,
        "megapixels_per_s": found.megapixels / seconds,
    }


def _group(name: str, total: Total) -> dict[str, Any]:
    means = {f"mean_{m}": total.mean(m) for m in AVERAGED}
    shares = {f"good_share_{when}": total.good(when) for when in ("before", "after")}
    return {"name": name, "images": total.images, **total.counts, **shares, **means}


def summary(found: ReportTotals) -> dict[str, Any]:
    """Everything that was added up, as JSON-ready values.

    Args:
        found: the collected rows.

    Returns:
        The content of `magenet report --format json`.
    """
    return {
        "report_schema": 3,
        **found.outcome.as_json(),
        "flagged": found.flagged,
        "flags": dict(sorted(found.flags.items())),
        "bytes": found.bytes,
        "megapixels": found.megapixels,
        **speed(found),
        "grades": {
            "before": {grade: found.grades.before[grade] for grade in GRADES},
            "delivered": {grade: found.grades.delivered(grade) for grade in GRADES},
            "flow": [
                {"before": before, "delivered": after, "images": count}
                for (before, after), count in sorted(found.grades.flow.items())
            ],
        },
        "quality": {
            name: {
                "unit": unit,
                "before": found.before[name].summary(),
                "after": found.after[name].summary(),
                "better": found.better[name][0] if name in BETTER else None,
                "compared": found.better[name][1],
            }
            for name, (unit, _) in QUALITY_MEASURES.items()
        },
        "fidelity": {
            name: {"unit": unit, **found.fidelity[name].summary()}
            for name, (unit, _) in FIDELITY_MEASURES.items()
        },
        "stage_seconds": {n: h.summary() for n, h in found.seconds.items()},
        "folders": [_group(name, total) for name, total in found.folders.result()],
        "columns": {
            c.name: [_group(name, total) for name, total in c.result()]
            for c in found.columns
            if c.result()
        },
        "failures": {
            reason: {
                "count": f.count,
                "examples": [{"image_id": i, "message": m} for i, m in f.examples],
            }
            for reason, f in sorted(found.failures.items())
        },
        "weights": [
            {"name": n, "hash": h, "images": c} for (n, h), c in sorted(found.weights.items())
        ],
        "policies": [{"policy": p, "images": c} for p, c in sorted(found.policies.items())],
        "versions": dict(sorted(found.versions.items())),
        "formats": dict(sorted(found.formats.items())),
        "run": dataclasses.asdict(found.run),
    }


def to_json(found: ReportTotals) -> str:
    """The summary as indented JSON."""
    return json.dumps(summary(found), indent=2, ensure_ascii=False, default=str) + "\n"


def write_csv(out: Location, target: TextIO) -> int:
    """Write every row as CSV, streaming; flags are joined by `;`, null is empty.

    Text that a spreadsheet program could take for a formula (`FORMULA`) gets an apostrophe in
    front; numbers are never touched.

    Args:
        out: the job's output folder.
        target: where to write.

    Returns:
        Number of rows written.

    Raises:
        UsageError: the folder holds no readable rows.
    """
    rows = open_rows(out)
    # lines end as RFC 4180 says; with another end, carriage returns in names would go unquoted
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow([harmless(name) for name in rows.schema.names])
    written = 0
    for table in rows.tables(rows.schema.names):
        writer.writerows(_cells(table.drop_columns([FILE, PLACE])))
        written += table.num_rows
    return written


def harmless(text: str | None) -> str | None:
    """Text as a cell that no spreadsheet program takes for a formula."""
    return f"'{text}" if text and text.startswith(FORMULA) else text


def _cells(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    columns = []
    for column in table.columns:
        kind = column.type
        if pa.types.is_float32(kind):
            # the shortest decimal that reads back as the same float32, not its float64 tail
            columns.append(pc.cast(column, pa.string()).to_pylist())
        elif pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
            joined = pc.binary_join(pc.cast(column, pa.list_(pa.string())), ";").to_pylist()
            columns.append([harmless(text) for text in joined])
        else:
            values = plain_values(column).to_pylist()
            columns.append([harmless(v) if isinstance(v, str) else v for v in values])
    return zip(*columns, strict=True)


def _cell(text: str) -> str:
    """A name inside a Markdown table: as code, so that nothing in it is markup."""
    clean = visible(text).replace("|", "\\|").replace("`", "'")
    return f"`{clean if len(clean) <= 120 else clean[:117] + '...'}`"


def _grade_lines(found: ReportTotals) -> list[str]:
    """Grades before against grades as delivered; nothing without grades."""
    flow = found.grades.flow
    if not flow:
        return []
    lines = ["", f"| grade before | {' | '.join(GRADES)} |", "| --- |" + " ---: |" * len(GRADES)]
    for before in GRADES:
        cells = " | ".join(f"{flow[before, after]:,}" for after in GRADES)
        lines.append(f"| {before} | {cells} |")
    return lines


def to_markdown(found: ReportTotals) -> str:
    """A page of Markdown with the main numbers."""
    fast = speed(found)
    lines = [
        f"# {found.title}",
        "",
        found.outcome.headline(),
        *(f"- {reasons}" for reasons in found.outcome.reasons_in_words()),
        f"- {found.flagged:,} flagged for review.",
    ]
    if fast["seconds"]:
        lines.append(
            f"{fast['seconds']:,.0f} s, {number(fast['images_per_s'])} images/s, "
            f"{number(fast['megapixels_per_s'])} megapixels/s."
        )
    lines += _grade_lines(found)
    lines += [
        "",
        "| quality (median) | before | after | better in |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name in QUALITY_MEASURES:
        better, compared = found.better[name]
        share = percent(better / compared) if compared and name in BETTER else "–"
        medians = [number(h[name].quantile(0.5)) for h in (found.before, found.after)]
        lines.append(f"| {name} | {medians[0]} | {medians[1]} | {share} |")
    lines += ["", "| fidelity | unit | median | 5 % | 95 % |", "| --- | --- | ---: | ---: | ---: |"]
    for name, (unit, _) in FIDELITY_MEASURES.items():
        h = found.fidelity[name]
        values = " | ".join(number(h.quantile(q)) for q in (0.5, 0.05, 0.95))
        lines.append(f"| {name} | {unit} | {values} |")
    if found.failures:
        lines += ["", "| failed because | images | for example |", "| --- | ---: | --- |"]
        for reason, failure in sorted(found.failures.items(), key=lambda f: -f[1].count):
            example = _cell(failure.examples[0][0]) if failure.examples else ""
            lines.append(f"| {reason} | {failure.count:,} | {example} |")
    if found.flags:
        lines += ["", "| flag | images |", "| --- | ---: |"]
        lines += [f"| {flag} | {count:,} |" for flag, count in found.flags.most_common()]
    names = ", ".join(f"{n} ({h})" for n, h in sorted(found.weights))
    lines += ["", f"Weights: {names or '–'}. Version: {', '.join(sorted(found.versions)) or '–'}."]
    lines += ["", "For research. Not a medical device."]
    return "\n".join(lines) + "\n"
