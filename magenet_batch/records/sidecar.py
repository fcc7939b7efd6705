"""Rows as small JSON files beside the images, for people who do not read Parquet.

A sidecar is made of its row and nothing else, so it can be checked, and written again, at any time.
The rows of a shard stay the only commit mark: sidecars are written before them, and all files that
rows name last on the disk before the rows do.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from magenet_batch.records.columns import plain_rows
from magenet_batch.records.layout import rows_file, sidecar_name
from magenet_batch.records.schema import FILE_COLUMNS, TIMING_COLUMNS, Row
from magenet_batch.storage import (
    Location,
    StorePath,
    Version,
    flush_names,
    parquet_bytes,
    write_atomic,
    write_new,
    write_parquet,
)

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


def write_first_rows(
    table: pa.Table, out: Location, shard: int, *, sidecars: Iterable[int] = ()
) -> None:
    """Write the rows of a shard that has none: the commit.

    Rows that are there already stay. A worker that was cut off and taken for dead may finish a
    shard long after another has, or after some of its images have been tried again.

    Args:
        table: all rows of the shard.
        out: the output folder.
        shard: number of the shard.
        sidecars: positions of the rows whose sidecars are written before.

    Raises:
        StorageError: something cannot be written.
    """
    file = rows_file(out, shard)
    if not file.exists():
        flush_files(table, out, beside=_write_sidecars(table, out, sidecars))
        write_new(file, parquet_bytes(table), root=out)


def replace_rows(
    table: pa.Table,
    out: Location,
    shard: int,
    *,
    over: Version | None,
    sidecars: Iterable[int] = (),
) -> bool:
    """Write the rows of a shard over those that were read: the commit.

    Args:
        table: all rows of the shard.
        out: the output folder.
        shard: number of the shard.
        over: the version that was read, from `StorePath.read_version`; None where there is none.
        sidecars: positions of the rows whose sidecars are written before.

    Returns:
        False if the rows have changed since they were read; then they stay.

    Raises:
        StorageError: something cannot be written.
    """
    flush_names(_write_sidecars(table, out, sidecars), below=out)
    file = rows_file(out, shard)
    if over is None or not isinstance(file, StorePath):
        write_parquet(table, file)
        return True
    content = parquet_bytes(table)
    # The answer to a first attempt may have been lost.
    return file.put_if(content, over=over) is not None or file.read_bytes() == content


def flush_files(table: pa.Table, out: Location, *, beside: Iterable[Location] = ()) -> None:
    """Make the names of all files last that rows name, before the rows do.

    Otherwise, a power cut could take the files and leave the rows.

    Args:
        table: the rows.
        out: the output folder.
        beside: further files.

    Raises:
        StorageError: the disk refuses.
    """
    columns = (table.column(name).to_pylist() for name in FILE_COLUMNS)
    named = (out / name for column in columns for name in column if name is not None)
    flush_names([*named, *beside], below=out)


def _write_sidecars(table: pa.Table, out: Location, positions: Iterable[int]) -> list[Location]:
    """Write sidecars, whose names do not last yet, and return them."""
    wanted, files = list(positions), []
    for row in plain_rows(table.take(wanted)) if wanted else ():
        files.append(out / sidecar_name(row["image_id"]))
        write_atomic(files[-1], sidecar_content(row), root=out, flush=False)
    return files


def _value(value: Any) -> Any:
    """A value as JSON has it; numbers that it cannot have become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): _value(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_value(one) for one in value]
    return value.hex() if isinstance(value, bytes) else value
