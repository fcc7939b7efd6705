"""The page's table of images: a bounded number of rows as JSON inside the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from magenet_batch.records.schema import QUALITY_MEASURES, TIMING_COLUMNS, Row
from magenet_batch.records.vocabulary import SPOTS_LEFT, STATUSES, faults_in_words
from magenet_batch.report.page.gallery import fell, waits
from magenet_batch.report.totals.totals import ReportTotals
from magenet_batch.report.words import because, status_words, visible, words

COLUMNS: tuple[tuple[str, str], ...] = (
    ("image_id", "image"),
    ("status", "status"),
    ("notes", "flags, reason"),
    ("grade", "grade"),
    ("decision", "reviewed"),
    ("sharpness", "sharpness"),
    ("contrast", "contrast"),
    ("haze", "haze"),
    ("fidelity", "fidelity"),
    ("structure_agreement", "agreement"),
    ("vessel_new", "new vessels"),
    ("vessel_lost", "lost vessels"),
    ("wrong_colour", "wrong colour"),
    ("seconds", "seconds"),
)
"""(key, heading). Measures before and after are shown as before → after and sort by the change;
all columns are in the CSV."""
TEXT = ("image_id", "status", "notes", "grade", "decision")
FILTER_COLUMNS = 3
"""Maximum number of manifest columns to filter by; all of them have totals of their own."""
_OPTIONAL = (
    "decision",
    "grade",
    "fidelity",
    "structure_agreement",
    "vessel_new",
    "vessel_lost",
    "wrong_colour",
)


def json_block(value: Any) -> Markup:
    """JSON that can stand inside a `<script>` element whatever text it holds."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in {c for c in text if c in "<>&" or not c.isprintable()}:
        text = text.replace(char, json.dumps(char)[1:-1] if char not in "<>&" else _code(char))
    return Markup(text)


def _code(char: str) -> str:
    return f"\\u{ord(char):04x}"


def _short(value: float | None) -> float | None:
    return None if value is None or value != value else float(f"{value:.4g}")


def _notes(row: Row) -> str:
    """Flags, what was wrong with the image, why it was kept or failed, text, its file."""
    notes = [words(visible(flag)) for flag in row.get("flags") or []]
    if wrong := faults_in_words(row):
        notes.append(wrong)
    if row.get("reason"):
        explained = row.get("status") in ("kept", "withheld")
        notes.append(because(row["reason"]) if explained else words(visible(row["reason"])))
    if row.get("message") == SPOTS_LEFT:
        notes.append("dust left")
    if row.get("burned_in_text"):
        notes.append("text in the border")
    if row.get("decoder_note"):
        notes.append(f"file: {visible(row['decoder_note'])}")
    return ", ".join(notes)


def _grade(row: Row) -> str:
    before, after = row.get("grade_before"), row.get("grade_after")
    if row.get("status") != "enhanced" or not after:
        return visible(before or "")
    return f"{visible(before or '–')} → {visible(after)}"


def _value(row: Row, key: str) -> Any:
    if key in QUALITY_MEASURES:
        after = row.get(f"{key}_after") if row.get("status") == "enhanced" else None
        return [_short(row.get(f"{key}_before")), _short(after)]
    if key == "seconds":
        known = [row[stage] for stage in TIMING_COLUMNS if row.get(stage) is not None]
        return _short(sum(known)) if known else None
    if key == "notes":
        return _notes(row)
    if key == "grade":
        return _grade(row)
    value = row.get(key)
    return visible(value or "") if key in TEXT else _short(value)


def filters(found: ReportTotals) -> list[dict[str, Any]]:
    """Manifest columns that the table can be filtered by: `name` and `values`."""
    chosen: list[dict[str, Any]] = []
    for column in found.columns:
        values = [key for key, _ in column.result()]
        if values and column.complete and len(chosen) < FILTER_COLUMNS:
            chosen.append({"name": column.name, "values": values})
    return chosen


def table_data(found: ReportTotals, *, pages: Mapping[str, str] | None = None) -> dict[str, Any]:
    """All that the page's script needs to draw the table.

    Args:
        found: the collected rows.
        pages: image id -> address of the image's own page.

    Returns:
        `columns` (keys), `titles`, `rows` (one list of values per row), `pages` (addresses by
        place of the row), `statuses` (their words).
    """
    rows = found.table_rows()
    drawn = [(key, title) for key, title in COLUMNS if key not in _OPTIONAL or _any(rows, key)]
    extra = [f["name"] for f in filters(found)]
    values = [
        [_value(row, key) for key, _ in drawn]
        + [visible("(none)" if row.get(name) is None else _plain(row[name])) for name in extra]
        for row in rows
    ]
    pages = pages or {}
    links = {i: pages[row["image_id"]] for i, row in enumerate(rows) if row["image_id"] in pages}
    return {
        "columns": [key for key, _ in drawn] + [f"manifest:{name}" for name in extra],
        "titles": [title for _, title in drawn] + [visible(name) for name in extra],
        "flags": [[words(visible(flag)) for flag in row.get("flags") or []] for row in rows],
        "kinds": [_kinds(row) for row in rows],
        "rows": values,
        "pages": links,
        "statuses": {status: status_words(status) for status in STATUSES},
    }


KINDS: dict[str, str] = {
    "review": "to review", "withheld": "withheld", "fell": "grade fell", "flagged": "flagged",
    "reviewed": "reviewed", "text": "text in the border",
    "noted": "note on the file",
}  # fmt: skip
"""What the table can be filtered by, beside status, grade and flag."""


def _kinds(row: Row) -> list[str]:
    is_it = {
        "review": waits(row), "withheld": row.get("status") == "withheld", "fell": fell(row),
        "flagged": bool(row.get("flags")), "reviewed": bool(row.get("decision")),
        "noted": bool(row.get("decoder_note")), "text": bool(row.get("burned_in_text")),
    }  # fmt: skip
    return [kind for kind in KINDS if is_it[kind]]


def table_kinds(table: Mapping[str, Any]) -> dict[str, str]:
    """Of `KINDS`, those that the table has images of."""
    there = {kind for kinds in table["kinds"] for kind in kinds}
    return {kind: word for kind, word in KINDS.items() if kind in there}


def _any(rows: list[Row], key: str) -> bool:
    name = "grade_before" if key == "grade" else key
    return any(row.get(name) is not None for row in rows)


def _plain(value: Any) -> str:
    """A manifest value as the totals spell it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
