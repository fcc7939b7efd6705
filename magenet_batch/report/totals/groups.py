"""Totals per folder and per value of a manifest column, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

MAX_FOLDERS = 400
"""With more folders than this, folders are merged into the ones above them."""
MAX_VALUES = 400
"""A manifest column with more values than this is no grouping (names, keys) and gets no table."""
SHOWN_VALUES = 24
"""The values with most images have rows of their own; the others are added up in one."""

COUNTED = ("enhanced", "kept", "withheld", "assessed", "failed", "flagged",
           "graded_before", "graded_after", "good_before", "good_after",
           "ungradable_before", "ungradable_after")  # fmt: skip
AVERAGED = ("sharpness_before", "sharpness_after", "contrast_before", "contrast_after",
            "structure_agreement", "fidelity")  # fmt: skip


@dataclass
class Total:
    """What is added up for one group.

    Attributes:
        images: number of rows.
        counts: `COUNTED` name -> rows.
        sums: `AVERAGED` name -> (sum, number of values).
    """

    images: int
    counts: dict[str, int]
    sums: dict[str, tuple[float, int]]

    def plus(self, other: Total) -> Total:
        """The total of both."""
        return Total(
            self.images + other.images,
            {k: v + other.counts[k] for k, v in self.counts.items()},
            {k: (s + other.sums[k][0], n + other.sums[k][1]) for k, (s, n) in self.sums.items()},
        )

    def mean(self, name: str) -> float | None:
        """Mean of an averaged measure, None where nothing was measured."""
        total, number = self.sums[name]
        return total / number if number else None

    @property
    def unusable(self) -> int:
        """Images that cannot be graded as they are delivered, and those that failed."""
        return self.counts["ungradable_after"] + self.counts["failed"]

    def gradable(self, when: str) -> float | None:
        """Share of the graded images that are gradable, `before` or `after`; None without any."""
        graded = self.counts[f"graded_{when}"]
        return 1 - self.counts[f"ungradable_{when}"] / graded if graded else None

    def good(self, when: str) -> float | None:
        """Share of the graded images that are good, `before` or `after`; None without grades."""
        graded = self.counts[f"graded_{when}"]
        return self.counts[f"good_{when}"] / graded if graded else None


def _totals(keys: pa.Array, measures: dict[str, pa.Array]) -> dict[str, Total]:
    """Add up one batch by key."""
    table = pa.table({"key": keys, **measures})
    aggregates = [("key", "count"), *((name, "sum") for name in COUNTED)]
    for name in AVERAGED:
        aggregates += [(name, "sum"), (name, "count")]
    grouped = table.group_by("key").aggregate(aggregates)
    return {
        row["key"]: Total(
            row["key_count"],
            {name: int(row[f"{name}_sum"] or 0) for name in COUNTED},
            {name: (row[f"{name}_sum"] or 0.0, row[f"{name}_count"]) for name in AVERAGED},
        )
        for row in grouped.to_pylist()
    }


class Folders:
    """Totals per folder of the archive; deep trees are merged upwards."""

    def __init__(self) -> None:
        self.totals: dict[str, Total] = {}
        self.depth = 12

    def _shorten(self, key: str) -> str:
        return "/".join(key.split("/")[: self.depth])

    def add(self, ids: pa.Array, measures: dict[str, pa.Array]) -> None:
        """Add a batch: image ids (relative paths) and the columns to add up."""
        folders = pc.replace_substring_regex(pc.fill_null(ids, ""), r"/?[^/]*$", "")
        for key, total in _totals(folders, measures).items():
            self._put(key, total)
            while len(self.totals) > MAX_FOLDERS and self.depth > 1:
                self.depth -= 1
                old, self.totals = self.totals, {}
                for deep, merged in old.items():
                    self._put(deep, merged)

    def _put(self, key: str, total: Total) -> None:
        key = self._shorten(key)
        if key not in self.totals and self.depth == 1 and len(self.totals) >= MAX_FOLDERS:
            key = "(other folders)"
        known = self.totals.get(key)
        self.totals[key] = total if known is None else known.plus(total)

    def result(self) -> list[tuple[str, Total]]:
        """Folders in order of their names; the archive's own folder is `.`."""
        return [(key or ".", self.totals[key]) for key in sorted(self.totals)]


class ByColumn:
    """Totals per value of one manifest column, dropped when it has too many values.

    Attributes:
        name: of the column.
        totals: value -> total; None when dropped.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.totals: dict[str, Total] | None = {}

    def add(self, values: pa.Array, measures: dict[str, pa.Array]) -> None:
        """Add a batch: the column's values and the columns to add up."""
        if self.totals is None:
            return
        text = pc.fill_null(pc.cast(values, pa.string()), "(none)")
        if pc.count_distinct(text).as_py() > MAX_VALUES:
            self.totals = None
            return
        for key, total in _totals(text, measures).items():
            known = self.totals.get(key)
            self.totals[key] = total if known is None else known.plus(total)
        if len(self.totals) > MAX_VALUES:
            self.totals = None

    @property
    def complete(self) -> bool:
        """Whether `result` has a row of its own for every value."""
        return self.totals is not None and 2 <= len(self.totals) <= SHOWN_VALUES

    def result(self) -> list[tuple[str, Total]]:
        """Values in order, those with few images added up; empty when the column is no grouping.

        A column where nearly every image has a value of its own is no grouping either.
        """
        totals = self.totals
        if totals is None or len(totals) < 2:
            return []
        images = sum(total.images for total in totals.values())
        if len(totals) > SHOWN_VALUES and images < 3 * len(totals):
            return []
        largest = sorted(totals, key=lambda key: (-totals[key].images, key))
        shown = {key: totals[key] for key in sorted(largest[:SHOWN_VALUES])}
        rest = [totals[key] for key in largest[SHOWN_VALUES:]]
        for total in rest:
            name = f"({len(rest):,} other values)"
            shown[name] = shown[name].plus(total) if name in shown else total
        return list(shown.items())
