"""Distributions in one pass and bounded memory: fine bins now, quantiles and charts later."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FINE_BINS = 10_000


class Histogram:
    """Counts of values in fine bins of equal width.

    Values outside the range are counted in the first or last bin; NaN (null) is not counted.

    Attributes:
        low: start of the range.
        high: end of the range.
        n: number of values counted.
        total: their sum.
    """

    def __init__(self, *, low: float, high: float) -> None:
        self.low, self.high = low, high
        self.n = 0
        self.total = 0.0
        self._counts = np.zeros(FINE_BINS, np.int64)

    def add(self, values: npt.NDArray[np.floating]) -> None:
        """Count values (N,); NaN and infinities are left out."""
        values = values[np.isfinite(values)]
        if not len(values):
            return
        scale = FINE_BINS / (self.high - self.low)
        bins = np.clip((values - self.low) * scale, 0, FINE_BINS - 1).astype(np.int64)
        self._counts += np.bincount(bins, minlength=FINE_BINS)
        self.n += len(values)
        self.total += float(values.sum(dtype=np.float64))

    @property
    def mean(self) -> float | None:
        """Mean of the values, None when there is none."""
        return self.total / self.n if self.n else None

    def quantile(self, q: float) -> float | None:
        """Value below which a share of the values lies.

        Args:
            q: the share, 0..1.

        Returns:
            The quantile, right to a fine bin's width; None when there is no value.
        """
        if not self.n:
            return None
        below = np.cumsum(self._counts)
        at = int(np.searchsorted(below, max(1, q * self.n)))
        return self.low + (at + 0.5) * (self.high - self.low) / FINE_BINS

    def rank(self, value: float | None) -> float | None:
        """Share of the counted values that lie below a value, ties counted half.

        Args:
            value: on the same scale.

        Returns:
            0..1, right to a fine bin's width; None without value or counted values.
        """
        if value is None or not self.n or not np.isfinite(value):
            return None
        at = (value - self.low) * FINE_BINS / (self.high - self.low)
        at = int(np.clip(at, 0, FINE_BINS - 1))
        return float((self._counts[:at].sum() + 0.5 * self._counts[at]) / self.n)

    def shares(self, *, low: float, high: float, bins: int) -> npt.NDArray[np.float64]:
        """Share of the values in each of `bins` coarse bins from `low` to `high`.

        Values beyond either end are counted in the end bins.
        """
        centres = self.low + (np.arange(FINE_BINS) + 0.5) * (self.high - self.low) / FINE_BINS
        index = np.clip((centres - low) / (high - low) * bins, 0, bins - 1).astype(np.int64)
        return np.bincount(index, weights=self._counts, minlength=bins) / max(1, self.n)

    def summary(self) -> dict[str, float | int | None]:
        """Number of values, mean, and the 5 %, 50 % and 95 % quantiles."""
        return {
            "n": self.n,
            "mean": self.mean,
            "p05": self.quantile(0.05),
            "median": self.quantile(0.5),
            "p95": self.quantile(0.95),
        }
