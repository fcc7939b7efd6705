"""Bounded selections from any number of rows: the top few by a key, whatever the order read."""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from magenet_batch.schema import Row


def random_keys(ids: Sequence[str], *, seed: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) per image that depends on its id and the seed alone."""
    hashes = (zlib.crc32(i.encode("utf-8", "surrogatepass"), seed) for i in ids)
    return np.fromiter(hashes, np.float64, len(ids)) / 2**32


class Top:
    """Keeps the rows with the largest keys.

    Attributes:
        size: how many rows at most.
        seen: how many rows with a key were offered.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.seen = 0
        self._heap: list[tuple[float, str, Row]] = []

    def offer(self, table: pa.Table, keys: npt.NDArray[np.float64]) -> None:
        """Offer rows.

        Args:
            table: the rows; must have `image_id`.
            keys: one per row; NaN means not eligible.
        """
        eligible = np.flatnonzero(np.isfinite(keys))
        self.seen += len(eligible)
        if len(self._heap) == self.size:
            eligible = eligible[keys[eligible] >= self._heap[0][0]]
        if len(eligible) > self.size:
            eligible = eligible[np.argpartition(-keys[eligible], self.size - 1)[: self.size]]
        if not len(eligible):
            return
        rows = table.take(pa.array(eligible)).to_pylist()
        for key, row in zip(keys[eligible].tolist(), rows, strict=True):
            entry = (key, row["image_id"] or "", row)
            if len(self._heap) < self.size:
                heapq.heappush(self._heap, entry)
            elif entry[:2] > self._heap[0][:2]:
                heapq.heapreplace(self._heap, entry)

    def rows(self) -> list[Row]:
        """The rows, largest key first."""
        return [row for _, _, row in sorted(self._heap, key=lambda e: (-e[0], e[1]))]
