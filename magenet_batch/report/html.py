"""The report as one self-contained HTML page."""

from __future__ import annotations

import json
from datetime import datetime
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from magenet_batch import __version__
from magenet_batch.report.charts import Series, histogram_chart, number, stacked_bar
from magenet_batch.report.collect import BETTER, TABLE_ROWS, Collected
from magenet_batch.report.gallery import REASONS_WHY, Pair
from magenet_batch.report.text import speed, visible
from magenet_batch.schema import FIDELITY_MEASURES, QUALITY_MEASURES, STATUSES, Row

CHIPS = ("sharpness", "contrast", "illumination", "haze")
"""Quality measures shown under each pair, before and after."""
TABLE_COLUMNS: tuple[tuple[str, str], ...] = (
    ("image_id", "image"),
    ("status", "status"),
    ("notes", "flags, reason"),
    ("sharpness", "sharpness"),
    ("contrast", "contrast"),
    ("haze", "haze"),
    ("structure_agreement", "agreement"),
    ("vessel_new", "new vessels"),
    ("colour_shift", "colour shift"),
    ("seconds", "seconds"),
)
"""(key, heading) of the page's table. Quality measures are shown before → after and sort by the
change; all columns are in the CSV."""
_STAGES = {"read_s": "read", "enhance_s": "enhance", "measure_s": "measure", "write_s": "write"}


def words(name: str) -> str:
    """A column's or flag's name as words."""
    return name.replace("_", " ")


def duration(seconds: float | None) -> str:
    """Seconds in the units a person would use."""
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, hours = seconds / 60, seconds / 3600
    if hours < 2:
        return f"{minutes:.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def size(count: float) -> str:
    """Bytes in decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def moment(value: Any) -> str:
    """A time from `run.json` (ISO 8601 or seconds since 1970) for people; '–' when unknown."""
    try:
        if isinstance(value, (int, float)):
            then = datetime.fromtimestamp(value).astimezone()
        else:
            then = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except (ValueError, OverflowError, OSError):
        return "–"
    return then.strftime("%d %b %Y, %H:%M")


def json_block(value: Any) -> Markup:
    """JSON that can stand inside a `<script>` element whatever text it holds."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _table_value(row: Row, key: str) -> Any:
    if key in QUALITY_MEASURES:
        return [_short(row.get(f"{key}_before")), _short(row.get(f"{key}_after"))]
    if key == "seconds":
        known = [row[stage] for stage in _STAGES if row.get(stage) is not None]
        return _short(sum(known)) if known else None
    if key == "notes":
        notes = [*(row.get("flags") or []), *([row["reason"]] if row.get("reason") else [])]
        return ", ".join(words(visible(note)) for note in notes)
    value = row.get(key)
    return visible(value) if isinstance(value, str) else _short(value)


def table_data(found: Collected) -> list[list[Any]]:
    """The rows of the page's table, one list per row in the order of `TABLE_COLUMNS`."""
    return [[_table_value(row, key) for key, _ in TABLE_COLUMNS] for row in found.table_rows()]


def _quality_charts(found: Collected) -> list[dict[str, Any]]:
    charts = []
    for name, (unit, meaning) in QUALITY_MEASURES.items():
        before, after = found.before[name], found.after[name]
        better, compared = found.better[name]
        series = [Series(before, "before", "before"), Series(after, "after", "after")]
        share = 100 * better / compared if compared and name in BETTER else None
        charts.append(
            {
                "name": words(name),
                "meaning": meaning,
                "direction": {1: "higher is better", -1: "lower is better"}.get(
                    BETTER.get(name, 0), ""
                ),
                "before": number(before.quantile(0.5)),
                "after": number(after.quantile(0.5)),
                "better": None if share is None else f"{share:.0f} %",
                "svg": histogram_chart(series, title=words(name), axis=f"{words(name)} ({unit})"),
            }
        )
    return charts


def _fidelity_charts(found: Collected) -> list[dict[str, Any]]:
    charts = []
    for name, (unit, meaning) in FIDELITY_MEASURES.items():
        h = found.fidelity[name]
        charts.append(
            {
                "name": words(name),
                "meaning": meaning,
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


def _groups(found: Collected) -> list[dict[str, Any]]:
    """Tables of totals: folders, then manifest columns."""
    tables = [{"title": "folder", "rows": found.folders.result()}]
    tables += [{"title": visible(c.name), "rows": c.result()} for c in found.columns if c.result()]
    return tables


def _status_bar(found: Collected) -> Markup:
    parts = [(f"part {s}", s, float(found.status[s])) for s in STATUSES]
    return stacked_bar(parts, title="images by status")


def _stage_bar(found: Collected) -> list[tuple[str, str, float]]:
    means = [(f"part stage{i}", label, found.seconds[column].mean or 0.0)
             for i, (column, label) in enumerate(_STAGES.items())]  # fmt: skip
    return means if any(m for _, _, m in means) else []


def _options(found: Collected) -> list[tuple[str, str]]:
    return [
        (words(visible(str(k))), visible(v if isinstance(v, str) else json.dumps(v, default=str)))
        for k, v in found.run.options.items()
        if v not in (None, [], "")
    ]


def _environment() -> jinja2.Environment:
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("magenet_batch.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        number=number, words=words, duration=duration, size=size, moment=moment, visible=visible
    )
    return env


def to_html(found: Collected, pairs: list[Pair]) -> str:
    """Render the page.

    Args:
        found: the collected rows.
        pairs: the gallery, the leading pair first.

    Returns:
        One HTML document without any reference to another file.
    """
    templates = resources.files("magenet_batch.report") / "templates"
    stages = _stage_bar(found)
    shown = min(found.images, TABLE_ROWS)
    return (
        _environment()
        .get_template("page.html")
        .render(
            css=Markup((templates / "style.css").read_text(encoding="utf-8")),
            js=Markup((templates / "page.js").read_text(encoding="utf-8")),
            found=found,
            run=found.run,
            speed=speed(found),
            status_bar=_status_bar(found),
            stages=stages,
            stage_bar=stacked_bar(stages, title="mean time per image") if stages else "",
            pairs=pairs,
            why=REASONS_WHY,
            chips=CHIPS,
            better=BETTER,
            quality=_quality_charts(found),
            fidelity=_fidelity_charts(found),
            groups=_groups(found),
            options=_options(found),
            failures=sorted(found.failures.items(), key=lambda f: -f[1].count),
            columns=TABLE_COLUMNS,
            table=json_block({"columns": [k for k, _ in TABLE_COLUMNS], "rows": table_data(found)}),
            shown=shown,
            version=__version__,
        )
    )
