"""The limits that stand beside values, and which flag a limit raises."""

from __future__ import annotations

from typing import NamedTuple

from magenet_batch.quality.limits import LEAST, LIMITS, MOST
from magenet_batch.records.schema import Row
from magenet_batch.report.words import number


class Limit(NamedTuple):
    """The limit of one measure.

    Attributes:
        value: of the limit.
        upper: whether values above it are flagged; below it otherwise.
    """

    value: float
    upper: bool

    def passed_by(self, value: float | None) -> bool:
        """Whether a value is on the wrong side; undefined ones never are."""
        if value is None:
            return False
        return value > self.value if self.upper else value < self.value

    @property
    def text(self) -> str:
        """Such as "at most 0.03"."""
        return f"{'at most' if self.upper else 'at least'} {self.value:g}"


MEASURE_LIMITS: dict[str, Limit] = {
    **{name: Limit(v, True) for name, v in LIMITS.items() if name != "disagreement"},
    **{name: Limit(v, True) for name, v in MOST.items()},
    **{name: Limit(v, False) for name, v in LEAST.items()},
    "structure_agreement": Limit(round(1 - LIMITS["disagreement"], 6), False),
}
"""Fidelity measure -> the limit beyond which a flag is raised."""

PLAIN: dict[str, str] = {
    "vessel_new": "new vessels, as a share of all",
    "vessel_lost": "lost vessels, as a share of all",
    "vessel_new_longest": "longest new vessel, in radii of the field",
    "vessel_lost_longest": "longest lost vessel, in radii of the field",
    "lesion_new": "strongest new spot",
    "lesion_lost": "strongest lost spot",
    "wrong_colour": "shift of colours that no lifted veil explains",
    "structure_agreement": "agreement of the vessels",
    "vessel_contrast": "contrast of the vessels, after over before",
    "area_contrast": "contrast of the area that lost most, after over before",
    "macula_contrast": "depth of the macula, after over before",
    "new_structure": "structure where there was none",
    "darkened": "share of the field of view that went dark",
}
"""Measure with a limit -> what it is called where no expert reads."""


class Passed(NamedTuple):
    """One measure of one image that passed its limit.

    Attributes:
        name: in words.
        value: as text.
        limit: as text, such as "at most 0.03".
    """

    name: str
    value: str
    limit: str


def limit_text(measure: str) -> str:
    """The limit of a measure in words; empty where it has none."""
    found = MEASURE_LIMITS.get(measure)
    return found.text if found is not None else ""


def _beyond(value: float, limit: Limit) -> str:
    """A value with as many digits as tell it from its limit."""
    texts = (number(value, digits=digits) for digits in (3, 4, 5))
    return next((t for t in texts if float(t.replace(",", "")) != limit.value), f"{value:.6g}")


def limit_value(measure: str) -> str:
    """The limit of a measure as a bare number."""
    return f"{MEASURE_LIMITS[measure].value:g}"


def passed(row: Row) -> list[Passed]:
    """The measures of an image that passed their limits, with both numbers."""
    return [
        Passed(PLAIN[name], _beyond(row[name], limit), limit.text)
        for name, limit in MEASURE_LIMITS.items()
        if limit.passed_by(row.get(name))
    ]
