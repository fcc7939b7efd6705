"""Values and text from files in words that a person reads."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from magenet_batch.records import outcome


def visible(text: str) -> str:
    r"""Show text from a file as it is, with control and direction characters spelled out.

    A name can hold characters that reverse the text around it or end a line; they become
    visible escapes such as `\u202e`.
    """
    return "".join(
        c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else _escape(c)
        for c in text
    )


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def number(value: float | None, *, digits: int = 3) -> str:
    """Format a value with a number of significant digits; a dash for None."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    decimals = min(4, max(0, digits - 1 - math.floor(math.log10(abs(value)))))
    return f"{value:,.{decimals}f}"


def percent(share: float | None) -> str:
    """A share of 0..1 in percent; a dash for None."""
    if share is None or not math.isfinite(share):
        return "–"
    value = 100 * share
    if 0 < value < 0.1 or 99.9 < value < 100:
        return "< 0.1 %" if value < 1 else "> 99.9 %"
    return f"{value:.0f} %" if value in (0, 100) or 10 <= value <= 90 else f"{value:.1f} %"


def words(name: str) -> str:
    """A column's or flag's name as words."""
    return " ".join("field of view" if part == "fov" else part for part in name.split("_"))


def status_words(status: str) -> str:
    """An image's status in the words of the page: what is kept came as it is."""
    return "as it came" if status == "kept" else visible(status)


def because(reason: str) -> str:
    """Why an image was not delivered enhanced, in a few words."""
    return outcome.because(visible(reason))


def images(count: int) -> str:
    """A number of images with its noun."""
    return f"{count:,} image" if count == 1 else f"{count:,} images"


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
    return f"{then.day} {then:%B %Y, %H:%M}"


def told(value: Any) -> str:
    """A value from a JSON file as text that can be shown."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(v, (str, int, float)) for v in value):
        return visible(", ".join(map(str, value)))
    return visible(value if isinstance(value, str) else json.dumps(value, default=str))


def listed(text: str) -> list[tuple[str, str]]:
    """A JSON object as pairs of words, nested ones flattened; text that is none stays one piece.

    Args:
        text: such as the `policy` of a row.

    Returns:
        `(name, value)`, the name empty when the text is no JSON object.
    """
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    return list(_flat(value, "")) if isinstance(value, dict) else [("", told(value))]


def _flat(value: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, inner in value.items():
        name = f"{prefix} {words(visible(str(key)))}".strip()
        if isinstance(inner, dict):
            yield from _flat(inner, name)
        elif inner not in (None, [], ""):
            yield name, told(inner)
