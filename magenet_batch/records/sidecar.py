"""Rows as small JSON files beside the images, for people who do not read Parquet.

A sidecar is made of its row and nothing else, so it can be checked, and written again, at any time.
The rows of a shard stay the only commit mark: sidecars are written before them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from magenet_batch.records.columns import plain_rows
from magenet_batch.records.layout import rows_file, sidecar_name
from magenet_batch.records.schema import TIMING_COLUMNS, Row
from magenet_batch.storage import Location, write_atomic, write_parquet

if TYPE_CHECKING:
    import pyarrow as pa


def sidecar_content(row: Row) -> bytes:
    """The sidecar of a row.

    Args:
        row: all columns of the row, as `columns.plain_rows` returns them.

    Returns:
        JSON with one column a line, without the timings, which differ from run to run.
    """
    values = {name: _value(value) for name, value in row.items() if name not in TIMING_COLUMNS}
    return (json.dumps(values, indent=1, ensure_ascii=False, default=str) + "\n").encode()


def write_rows(table: pa.Table, out: Location, shard: int, *, sidecars: Iterable[int] = ()) -> None:
    """Write the rows of a shard: the commit.

    Args:
        table: all rows of the shard.
        out: the output folder.
        shard: number of the shard.
        sidecars: positions of the rows whose sidecars are written before.

    Raises:
        StorageError: something cannot be written.
    """
    positions = list(sidecars)
    for row in plain_rows(table.take(positions)) if positions else ():
        write_atomic(out / sidecar_name(row["image_id"]), sidecar_content(row), root=out)
    write_parquet(table, rows_file(out, shard))


def _value(value: Any) -> Any:
    """A value as JSON has it; numbers that it cannot have become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): _value(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_value(one) for one in value]
    return value.hex() if isinstance(value, bytes) else value
