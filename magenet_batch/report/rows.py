"""Reads a job's rows: many small Parquet files as a stream of large batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from magenet_batch.errors import UsageError
from magenet_batch.schema import row_schema

BATCH_ROWS = 65_536


def open_rows(out: Path) -> ds.Dataset:
    """Open the rows of a job.

    Args:
        out: the job's output folder.

    Returns:
        A dataset of all finished shards.

    Raises:
        UsageError: the folder holds no rows.
    """
    files = sorted(str(p) for p in (out / "rows").glob("*.parquet") if p.name[0] not in "._")
    if not files:
        raise UsageError(
            f"{out}: no rows in {out / 'rows'}. Give the output folder of a job, the one that "
            "`magenet enhance ARCHIVE -o OUT` wrote (it holds run.json and rows/)."
        )
    try:
        return ds.dataset(files, format="parquet")
    except (pa.ArrowInvalid, OSError) as error:
        raise UsageError(f"{out / 'rows'}: not readable as Parquet: {error}") from error


def in_large_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Join small batches (one file per shard) into large ones."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows >= BATCH_ROWS // 2:
            yield pa.Table.from_batches(held).combine_chunks()
            held, rows = [], 0
    if rows:
        yield pa.Table.from_batches(held).combine_chunks()


def complete(table: pa.Table) -> pa.Table:
    """Add the row's own columns that an older or shorter file lacks, as nulls."""
    present = set(table.column_names)
    for column in row_schema():
        if column.name not in present:
            table = table.append_column(column, pa.nulls(table.num_rows, column.type))
    return table


def floats(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """A numeric column with NaN for null."""
    column = pc.cast(table.column(name), pa.float64())
    return pc.fill_null(column, float("nan")).to_numpy()
