"""The report for scripts and chats: JSON, CSV, Markdown."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.compute as pc

from magenet_batch.records.columns import plain_values
from magenet_batch.records.reading import FILE, PLACE, open_rows
from magenet_batch.records.run_info import read_run
from magenet_batch.records.schema import (
    ESTIMATES,
    FIDELITY_MEASURES,
    QUALITY_MEASURES,
    REVIEW_COLUMNS,
)
from magenet_batch.records.vocabulary import GRADES
from magenet_batch.report.advice import next_steps
from magenet_batch.report.totals.groups import AVERAGED, Total
from magenet_batch.report.totals.totals import BETTER, ReportTotals
from magenet_batch.report.words import visible
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
    shares |= {f"gradable_share_{when}": total.gradable(when) for when in ("before", "after")}
    return {"name": name, "images": total.images, **total.counts, **shares, **means}


def summary(found: ReportTotals) -> dict[str, Any]:
    """Everything that was added up, as JSON-ready values.

    Args:
        found: the collected rows.

    Returns:
        The content of `magenet report --format json`.
    """
    gradable = found.outcome.gradable
    grades: dict[str, Any] = {"before": {grade: found.grades.before[grade] for grade in GRADES}}
    if not found.assessed_only:
        grades["delivered"] = {grade: found.grades.delivered(grade) for grade in GRADES}
        grades["flow"] = [
            {"before": before, "delivered": after, "images": count}
            for (before, after), count in sorted(found.grades.flow.items())
        ]
    return {
        "report_schema": 4,
        "task": "assess" if found.assessed_only else "enhance",
        "became_gradable": gradable.gained,
        "gradable": gradable.as_json(),
        "grades": grades,
        "next": [step.as_json() for step in next_steps(found)],
        **found.outcome.as_json(),
        "flags": dict(sorted(found.flags.items())),
        "bytes": found.bytes,
        "megapixels": found.megapixels,
        **speed(found),
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

    Rows of `magenet assess` come with the grades first, without the columns of enhancement. Text
    that a spreadsheet program could take for a formula (`FORMULA`) gets an apostrophe in
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
    names = rows.schema.names
    if read_run(out).options.get("task") == "assess":
        names = assessed_columns(names)
    # lines end as RFC 4180 says; with another end, carriage returns in names would go unquoted
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow([harmless(name) for name in names])
    written = 0
    for table in rows.tables(names):
        writer.writerows(_cells(table.drop_columns([FILE, PLACE])))
        written += table.num_rows
    return written


def assessed_columns(names: Sequence[str]) -> list[str]:
    """Of the columns of rows, those that assessing fills, the grades first."""
    first = ("image_id", "status", "grade_before", *(f"{g}_before" for g in GRADES), "flags",
             "reason", "message", *(f"{m}_before" for m in QUALITY_MEASURES))  # fmt: skip
    unused = {"output", "policy", "look", "evidence", "write_s", "weights", "weights_hash"}
    unused |= {*FIDELITY_MEASURES, *ESTIMATES, *REVIEW_COLUMNS}
    rest = [n for n in names if n not in first and n not in unused and not n.endswith("_after")]
    return [name for name in first if name in names] + rest


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


def to_text(found: ReportTotals) -> str:
    """The shortest report: what became of the archive, and what to do next."""
    lines = found.outcome.lines()
    steps = next_steps(found)
    if steps:
        lines += ["", "What to do next"]
    for place, step in enumerate(steps, 1):
        lines.append(f"{place}. {step.text}")
        lines += [f"     {visible(name)}" for name in step.images]
    return "\n".join(lines) + "\n"
