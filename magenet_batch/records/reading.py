"""Read a job's rows: many small Parquet files as a stream of large tables, or single rows.

Files are read one by one. With 64 rows in a file, opening it and decoding each column is nearly the
whole cost, so only the columns that are summarised are read, by a few threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from magenet_batch.errors import UsageError
from magenet_batch.records.columns import plain_values
from magenet_batch.records.layout import PLAN, ROWS
from magenet_batch.records.schema import COLUMN_NAMES, Row, row_schema
from magenet_batch.storage import Location, names_in, readable

BATCH_ROWS = 65_536
THREADS = 4
FILE, PLACE = "__file", "__place"
"""Columns that locate a row: index of its file, and its position in the file."""


def planned_images(out: Location) -> int | None:
    """The number of images in a job's archive, with or without a row; None without a plan.

    Args:
        out: the output folder.

    Raises:
        UsageError: the plan cannot be read.
    """
    path = out / PLAN
    if not path.is_file():
        return None
    try:
        rows: int = pq.ParquetFile(readable(path)).metadata.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise UsageError(f"{path}: not readable as Parquet ({error}).") from error
    return rows


class Rows:
    """The rows of a job.

    Attributes:
        files: the Parquet files in order, one per finished shard.
        schema: schema of the first file; the others are read as if they had the same.
    """

    def __init__(self, files: Sequence[Location]) -> None:
        self.files = list(files)
        self.schema: pa.Schema = self._open(0).schema_arrow

    def _open(self, number: int) -> pq.ParquetFile:
        path = self.files[number]
        try:
            return pq.ParquetFile(readable(path), pre_buffer=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise UsageError(f"{path}: not readable as Parquet ({error}).") from error

    def read(self, number: int, names: Iterable[str]) -> pa.Table:
        """Read columns of one file, with `FILE` and `PLACE`; missing columns are null.

        Args:
            number: index of the file.
            names: columns of `schema`.

        Returns:
            The file's rows.

        Raises:
            UsageError: the file cannot be read.
        """
        opened, wanted = self._open(number), list(names)
        there = set(opened.schema_arrow.names)
        try:
            table = opened.read([n for n in wanted if n in there], use_threads=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise UsageError(f"{self.files[number]}: not readable as Parquet ({error}).") from error
        rows = table.num_rows
        columns = []
        for name in wanted:
            kind = self.schema.field(name).type
            column = table.column(name) if name in there else pa.nulls(rows, kind)
            columns.append(column if column.type == kind else column.cast(kind))
        columns += [pa.repeat(number, rows), pa.array(np.arange(rows))]
        return pa.table(columns, names=[*wanted, FILE, PLACE])

    def tables(self, names: Iterable[str]) -> Iterator[pa.Table]:
        """Read columns of all files as large tables.

        Args:
            names: columns of `schema`.

        Yields:
            Tables of about `BATCH_ROWS` rows, in order.

        Raises:
            UsageError: a file cannot be read.
        """
        wanted = list(names)
        held: list[pa.Table] = []
        rows = 0
        for table in self._ahead(wanted):
            held.append(table)
            rows += table.num_rows
            if rows >= BATCH_ROWS // 2:
                yield pa.concat_tables(held).combine_chunks()
                held, rows = [], 0
        if rows:
            yield pa.concat_tables(held).combine_chunks()

    def _ahead(self, names: list[str]) -> Iterator[pa.Table]:
        """Yield the tables of the files in order, reading a few of them ahead."""
        waiting: deque[Future[pa.Table]] = deque()
        with ThreadPoolExecutor(THREADS) as pool:
            for number in range(len(self.files)):
                waiting.append(pool.submit(self.read, number, names))
                if len(waiting) > 4 * THREADS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def fetch(self, rows: Iterable[Row]) -> None:
        """Complete rows with all columns of their files.

        Args:
            rows: a few rows from `tables`; modified in place.

        Raises:
            UsageError: a file cannot be read.
        """
        by_file: dict[int, list[Row]] = {}
        for row in rows:
            by_file.setdefault(row[FILE], []).append(row)
        for number, wanted in by_file.items():
            table = complete(self.read(number, self.schema.names))
            for row in wanted:
                one = table.slice(row[PLACE], 1)
                columns = zip(one.column_names, one.columns, strict=True)
                row.update({name: plain_values(c)[0].as_py() for name, c in columns})


def open_rows(out: Location) -> Rows:
    """Open the rows of a job.

    Args:
        out: output folder of the job.

    Returns:
        The rows of all finished shards.

    Raises:
        UsageError: the folder holds no rows, or none that can be read.
    """
    names = sorted(n for n in names_in(out / ROWS) if n.endswith(".parquet") and n[0] not in "._")
    files = [out / ROWS / name for name in names]
    if not files:
        raise UsageError(
            f"{out}: no rows in {out / ROWS}. Give the output folder of a job, the one that "
            "`magenet enhance ARCHIVE -o OUT` wrote (it holds run.json and rows/)."
        )
    return Rows(files)


def complete(table: pa.Table) -> pa.Table:
    """Add columns of the row that an older or shorter file lacks, as nulls."""
    present = set(table.column_names)
    for column in row_schema():
        if column.name not in present:
            table = table.append_column(column, pa.nulls(table.num_rows, column.type))
    return table


def in_order(table: pa.Table, *, names: Sequence[str] | None = None) -> pa.Table:
    """The rows of a file with the columns of this version, those it lacks as nulls.

    Args:
        table: rows of a file, whatever version wrote it.
        names: the columns that were read; None for all, whose own come first, in their order.

    Returns:
        The rows with the schema that files of this version have.
    """
    if names is not None:
        fields = {field.name: field for field in row_schema()}
        for name in names:
            if name not in table.column_names:
                table = table.append_column(fields[name], pa.nulls(len(table), fields[name].type))
        return table.select(list(names))
    table = complete(table)
    own = set(COLUMN_NAMES)
    extra = [name for name in table.column_names if name not in own]
    schema = row_schema(pa.schema([table.schema.field(name) for name in extra]))
    return table.select([*COLUMN_NAMES, *extra]).cast(schema)


def floats(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """A numeric column with NaN for null."""
    column = pc.cast(table.column(name), pa.float64())
    result: np.ndarray = pc.fill_null(column, float("nan")).to_numpy()
    return result
