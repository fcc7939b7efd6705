"""Bounded selections from any number of rows: the top few by a key, whatever the order read."""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from magenet_batch.records.schema import Row

Floats = npt.NDArray[np.float64]


def random_keys(ids: Sequence[str], *, seed: int) -> Floats:
    """A number in [0, 1) per image that depends on its id and the seed alone."""
    hashes = (zlib.crc32(i.encode("utf-8", "surrogatepass"), seed) for i in ids)
    return np.fromiter(hashes, np.float64, len(ids)) / 2**32


class Top:
    """Keeps the rows with the largest keys.

    Attributes:
        size: how many rows at most; 0 keeps none.
        seen: how many rows with a key were offered.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.seen = 0
        self._heap: list[tuple[float, float, str, Row]] = []

    def offer(self, table: pa.Table, keys: Floats, *, ties: Floats) -> None:
        """Offer rows.

        Args:
            table: the rows; must have `image_id`.
            keys: one per row; NaN means not eligible.
            ties: one per row; decides between equal keys, so that the order of rows does not.
        """
        if not self.size:
            return
        eligible = np.flatnonzero(np.isfinite(keys))
        self.seen += len(eligible)
        if len(self._heap) == self.size:
            eligible = eligible[keys[eligible] >= self._heap[0][0]]
        if len(eligible) > self.size:
            order = np.lexsort((ties[eligible], keys[eligible]))
            eligible = eligible[order[-self.size :]]
        if not len(eligible):
            return
        rows = table.take(pa.array(eligible)).to_pylist()
        for key, tie, row in zip(keys[eligible], ties[eligible], rows, strict=True):
            entry = (float(key), float(tie), row["image_id"] or "", row)
            if len(self._heap) < self.size:
                heapq.heappush(self._heap, entry)
            elif entry[:3] > self._heap[0][:3]:
                heapq.heapreplace(self._heap, entry)

    def rows(self) -> list[Row]:
        """The rows, largest key first."""
        return [entry[3] for entry in sorted(self._heap, key=lambda e: e[:3], reverse=True)]
