"""Measurements in a long table, and what is said of them: means with confidence intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_RESAMPLES = 2000


@dataclass(frozen=True)
class Measurement:
    """One number about one image.

    Attributes:
        part: `synthetic`, `vessels`, `lesions` or `real`.
        preset: how the image was degraded; `clean` or `real` if it was not.
        image: file name.
        severity: third of the images by the degraded image's PSNR: `light`, `middle`, `severe`;
            empty where that does not apply.
        method: which enhancement.
        measure: what was measured, such as `psnr`.
        value: the number; None if it is undefined.
    """

    part: str
    preset: str
    image: str
    severity: str
    method: str
    measure: str
    value: float | None


@dataclass(frozen=True)
class Mean:
    """A mean over images.

    Attributes:
        value: the mean.
        low: 2.5 % point of the bootstrap distribution of the mean; None of a single image.
        high: 97.5 % point, likewise.
        count: images.
    """

    value: float
    low: float | None
    high: float | None
    count: int


class Table:
    """All measurements of an evaluation, in order."""

    def __init__(self, rows: Iterable[Measurement] = ()) -> None:
        self.rows = list(rows)

    def add(
        self,
        values: Mapping[str, float | None],
        *,
        part: str,
        preset: str,
        image: str,
        method: str,
        severity: str = "",
    ) -> None:
        """Add several measures of one image."""
        for measure, value in values.items():
            finite = None if value is None or not np.isfinite(value) else float(value)
            self.rows.append(Measurement(part, preset, image, severity, method, measure, finite))

    def values(self, **where: str) -> dict[str, float]:
        """Values by image of the rows whose columns are as given; undefined ones left out."""
        return {
            row.image: row.value
            for row in self.rows
            if row.value is not None and all(getattr(row, k) == v for k, v in where.items())
        }

    def column(self, name: str, **where: str) -> list[str]:
        """The different entries of a column, in order of appearance."""
        found = (
            getattr(row, name)
            for row in self.rows
            if all(getattr(row, k) == v for k, v in where.items())
        )
        return list(dict.fromkeys(found))

    def mean(self, **where: str) -> Mean | None:
        """The mean of some rows; None without any."""
        values = list(self.values(**where).values())
        return bootstrap_mean(values) if values else None

    def write(self, path: Path) -> None:
        """Write as Parquet, one row per measurement."""
        pq.write_table(pa.Table.from_pylist([asdict(row) for row in self.rows]), path)


def bootstrap_mean(values: Iterable[float]) -> Mean:
    """A mean and its 95 % interval by the percentile bootstrap (Efron 1979), 2000 resamples.

    Args:
        values: one per image; the same values give the same interval. A single one has none.
    """
    x = np.array(list(values), dtype=np.float64)
    if len(x) < 2:
        return Mean(float(x.mean()), None, None, len(x))
    chosen = np.random.default_rng(0).integers(len(x), size=(_RESAMPLES, len(x)))
    low, high = np.percentile(x[chosen].mean(axis=1), [2.5, 97.5])
    return Mean(float(x.mean()), float(low), float(high), len(x))


def paired_mean(table: Table, one: str, other: str, **where: str) -> Mean | None:
    """Mean of the paired differences between two methods, over the images that have both."""
    a, b = table.values(method=one, **where), table.values(method=other, **where)
    pairs = [a[image] - b[image] for image in a if image in b]
    return bootstrap_mean(pairs) if pairs else None
