"""Gates: name, limits, and verdict.

A gate is a function that measures its parts from a `Bench`; `@gate` registers it in `GATES` with
the limits of every part. Values are compared with limits as they are printed, rounded to their
digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from magenet_batch.errors import UsageError, nearest

if TYPE_CHECKING:
    from gate_bench import Bench, Rows

Sense = Literal["least", "most", "near"]


@dataclass(frozen=True)
class Limits:
    """Required and desired limit of a value; both None if the value has no limit.

    Attributes:
        sense: `least` and `most` limit the value itself, `near` its distance from 1.
        must: required limit.
        aim: desired limit.
        digits: decimals that are printed and compared.
    """

    sense: Sense = "least"
    must: float | None = None
    aim: float | None = None
    digits: int = 2

    def holds(self, value: float | None, limit: float | None) -> bool | None:
        """Whether a value meets a limit; None if there is none, or the value is missing."""
        if value is None or limit is None:
            return None
        shown = round(value, self.digits)
        if self.sense == "near":
            return abs(shown - 1) <= limit + 1e-9
        return shown >= limit if self.sense == "least" else shown <= limit

    def text(self, limit: float | None) -> str:
        """A limit as it is printed."""
        sign = {"least": ">= ", "most": "<= ", "near": "1 +- "}[self.sense]
        return "" if limit is None else f"{sign}{limit:g}"


def least(must: float, aim: float, *, digits: int = 2) -> Limits:
    return Limits("least", must, aim, digits)


def most(must: float, aim: float, *, digits: int = 2) -> Limits:
    return Limits("most", must, aim, digits)


def near(must: float, aim: float, *, digits: int = 3) -> Limits:
    return Limits("near", must, aim, digits)


def told(*, digits: int = 2) -> Limits:
    """A value without a limit."""
    return Limits(digits=digits)


@dataclass(frozen=True)
class Found:
    """One measured value, and the values that it summarises.

    Attributes:
        value: the value; None if it is undefined.
        by_image: value of each image; the worst is named.
    """

    value: float | None
    by_image: Mapping[str, float] = field(default_factory=dict)


Measure = Callable[["Bench"], dict[str, Found]]


@dataclass(frozen=True)
class Gate:
    """One requirement for weights.

    Attributes:
        name: name for `--only`.
        title: title for people.
        unit: unit of its values; empty for ratios.
        parts: limits of each value, by label.
        measure: measures the values, by the same labels.
    """

    name: str
    title: str
    unit: str
    parts: Mapping[str, Limits]
    measure: Measure


GATES: dict[str, Gate] = {}


def gate(
    name: str, title: str, *, unit: str, parts: Mapping[str, Limits]
) -> Callable[[Measure], Measure]:
    """Register a gate by the function that measures it."""

    def register(measure: Measure) -> Measure:
        assert name not in GATES, f"two gates are called {name}"
        GATES[name] = Gate(name, title, unit, parts, measure)
        return measure

    return register


def choose_gates(names: str) -> list[Gate]:
    """Choose gates by comma-separated names; all of them if there are none.

    Raises:
        UsageError: there is no such gate.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in GATES:
            raise UsageError(f"--only {name}: no gate is called so; {nearest(name, GATES)}")
    return [GATES[name] for name in wanted or GATES]


def measured(one: Gate, bench: Bench) -> dict[str, Any]:
    """A gate as the result file has it."""
    found = one.measure(bench)
    assert set(found) == set(one.parts), f"{one.name} measures other parts than it names"
    parts = {label: _part(limits, found[label]) for label, limits in one.parts.items()}
    verdicts = [part["holds"] for part in parts.values() if part["must"] is not None]
    holds = False if False in verdicts else None if None in verdicts else True
    return {"title": one.title, "unit": one.unit, "holds": holds, "parts": parts}


def _part(limits: Limits, found: Found) -> dict[str, Any]:
    worst = None
    if found.by_image:
        bad = {"least": lambda v: v, "most": lambda v: -v, "near": lambda v: -abs(v - 1)}
        name = min(found.by_image, key=lambda n: bad[limits.sense](found.by_image[n]))
        worst = {"image": name, "value": found.by_image[name]}
    value = found.value
    return {
        "value": value, "sense": limits.sense, "must": limits.must, "aim": limits.aim,
        "digits": limits.digits, "holds": limits.holds(value, limits.must),
        "aim_reached": limits.holds(value, limits.aim), "images": len(found.by_image),
        "worst": worst,
    }  # fmt: skip


def column(rows: Rows, measure: str) -> dict[str, float]:
    """A measure by image, where it is defined."""
    return {name: float(v) for name, row in rows.items() if (v := row.get(measure)) is not None}


def mean_of(values: Mapping[str, float]) -> Found:
    return _summed(np.mean, values)


def median_of(values: Mapping[str, float]) -> Found:
    return _summed(np.median, values)


def least_of(values: Mapping[str, float]) -> Found:
    return _summed(np.min, values)


def _summed(how: Callable[[list[float]], Any], values: Mapping[str, float]) -> Found:
    return Found(float(how(list(values.values()))) if values else None, values)


def over_nothing(rows: Rows, measure: str) -> Found:
    """Mean gain of a measure over doing nothing."""
    ours, nothing = column(rows, measure), column(rows, f"nothing_{measure}")
    return mean_of({name: ours[name] - nothing[name] for name in ours})


def gap_closed(
    ours: Mapping[str, float], nothing: Mapping[str, float], clean: Mapping[str, float] | None
) -> Found:
    """(ours - nothing) / (clean - nothing) of the means; gains are kept by image.

    Args:
        ours: value by image.
        nothing: value of doing nothing, by image.
        clean: value of the clean image, by image; None if it is 1 for all.
    """
    gains = {name: ours[name] - nothing[name] for name in ours}
    if not gains:
        return Found(None)
    low = _mean(nothing.values())
    way = (1.0 if clean is None else _mean(clean.values())) - low
    return Found(_mean(gains.values()) / way if way > 1e-3 else None, gains)


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
