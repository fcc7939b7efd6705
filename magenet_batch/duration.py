"""Durations in words."""

from __future__ import annotations

import re

from magenet_batch.errors import UsageError

_SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400}


def duration(seconds: float) -> str:
    """A duration for people: `8 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def seconds_of(text: str) -> float:
    """Seconds of a duration that a user wrote: `90min`, `24h`, `1.5 d`.

    Raises:
        UsageError: it is not a duration above 0.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", text.lower())
    unit = _SECONDS.get(found[2]) if found else None
    if found is None or unit is None or float(found[1]) == 0:
        raise UsageError(
            f"'{text}' is not a duration: write a number and d, h, min or s, as in 24h."
        )
    return float(found[1]) * unit
