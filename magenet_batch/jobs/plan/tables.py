"""Load the tables and lists that name images: Parquet, CSV, TSV, text, and standard input."""

from __future__ import annotations

import csv
import io
import os
import sys
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from magenet_batch.errors import UsageError
from magenet_batch.storage import StorePath, expanded, given_location, is_store, readable

STANDARD_INPUT = "-"
"""Archive argument that stands for a list of paths on standard input."""
_PARQUET = (".parquet", ".pq")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LISTS = (".txt", ".list")
MANIFEST_SUFFIXES = (*_PARQUET, *_DELIMITERS, *_LISTS)
_HEAD = 4096
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def is_manifest(given: str) -> bool:
    """Whether an archive argument is a manifest: by its extension, `-`, or a Parquet data set."""
    if given == STANDARD_INPUT or os.path.splitext(given)[1].lower() in MANIFEST_SUFFIXES:  # noqa: PTH122
        return given == STANDARD_INPUT or is_store(given) or not expanded(given).is_dir()
    return not is_store(given) and is_data_set(expanded(given))


def is_data_set(folder: Path) -> bool:
    """Whether a folder holds only Parquet files, directly or below folders named `key=value`."""
    while folder.is_dir():
        names = sorted(n for n in os.listdir(folder) if not n.startswith((".", "_")))  # noqa: PTH208
        if names and all(n.lower().endswith(_PARQUET) for n in names):
            return True
        if not names or not all("=" in n for n in names):
            return False
        folder = folder / names[0]
    return False


def load_table(given: str) -> pa.Table | list[str]:
    """Load a manifest.

    Args:
        given: a local path, a URI such as `s3://bucket/list.parquet`, or `-`.

    Returns:
        A table; for lists without columns, the paths.

    Raises:
        UsageError: it cannot be read.
    """
    suffix = os.path.splitext(given)[1].lower()  # noqa: PTH122
    if given == STANDARD_INPUT:
        return _lines(standard_input(), "standard input")
    try:
        if not is_store(given) and Path(given).is_dir():
            return _without_views(_data_set(Path(given)))
        if suffix not in (*_DELIMITERS, *_LISTS):
            return _parquet(given)
        content = StorePath(given).read_bytes() if is_store(given) else _text_of(Path(given))
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{given}: cannot be read ({error}).") from error
    except MemoryError as error:
        raise UsageError(f"{given}: there is not enough memory to read it.") from error
    if suffix in _DELIMITERS:
        return _delimited(content, given, _DELIMITERS[suffix])
    return _lines(content, given)


def _parquet(given: str) -> pa.Table:
    """A Parquet file; its end is checked before the rest of a local file is read."""
    try:
        return _without_views(pq.read_table(readable(given_location(given)), partitioning=None))
    except pa.ArrowException as error:
        raise UsageError(f"{given}: not a readable Parquet file ({error}).") from error


def _text_of(path: Path) -> bytes:
    """Content of a text file, unless it begins with nothing but null bytes.

    Raises:
        OSError: it cannot be read, or is no text.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if len(head) == _HEAD and not head.strip(b"\0"):
            raise OSError("it begins with null bytes and is no text")
        return head + file.read()


@lru_cache(maxsize=1)
def standard_input() -> bytes:
    """Everything on standard input, read once: a job lists its archive more than once."""
    return sys.stdin.buffer.read()


def _data_set(folder: Path) -> pa.Table:
    import pyarrow.dataset as ds  # imports pandas, where there is one: a third of a second

    files = sorted(str(f) for f in folder.rglob("*") if f.name.lower().endswith(_PARQUET))
    return ds.dataset(
        files, format="parquet", partitioning=ds.partitioning(flavor="hive"),
        partition_base_dir=str(folder),
    ).to_table()  # fmt: skip


def _without_views(table: pa.Table) -> pa.Table:
    """Columns of views as plain ones, which every function of Arrow takes."""
    for index, column in enumerate(table.schema):
        plain = _plain_type(column.type)
        if plain != column.type:
            table = table.set_column(index, column.with_type(plain), table[index].cast(plain))
    return table


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """The type without views of text, bytes and lists, also inside other types.

    Extension types of views become what they store.
    """

    def plain(field: pa.Field) -> pa.Field:
        return field.with_type(_plain_type(field.type))

    types = pa.types
    if kind == pa.string_view():
        return pa.string()
    if kind == pa.binary_view():
        return pa.binary()
    if types.is_struct(kind):
        return pa.struct([plain(field) for field in kind])
    if types.is_map(kind):
        return pa.map_(plain(kind.key_field), plain(kind.item_field), kind.keys_sorted)
    if types.is_fixed_size_list(kind):
        return pa.list_(plain(kind.value_field), kind.list_size)
    if types.is_large_list(kind) or types.is_large_list_view(kind):
        return pa.large_list(plain(kind.value_field))
    if types.is_list(kind) or types.is_list_view(kind):
        return pa.list_(plain(kind.value_field))
    if isinstance(kind, pa.BaseExtensionType):
        stored = _plain_type(kind.storage_type)
        return kind if stored == kind.storage_type else stored
    return kind


def _lines(content: bytes, name: str) -> list[str]:
    """Paths separated by line ends, or by null bytes as from `find -print0`."""
    if content[:2] in _UTF_16:  # as PowerShell writes lists
        try:
            content = content.decode("utf-16").encode()
        except UnicodeError as error:
            raise UsageError(f"{name}: damaged UTF-16 text. Save it as UTF-8.") from error
    if b"\0" in content:
        return [os.fsdecode(part) for part in content.split(b"\0") if part]
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return [os.fsdecode(line.removesuffix(b"\r")) for line in lines if line.strip()]


def _delimited(content: bytes, name: str, delimiter: str) -> pa.Table:
    """A CSV or TSV file; every value stays the text that it is."""
    try:
        text = content.decode("utf-16" if content[:2] in _UTF_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name}: not UTF-8 text ({error.reason} at byte {error.start}). "
            "Save it as UTF-8, or as Parquet."
        ) from error
    first = text.partition("\n")[0]
    if delimiter == "," and "," not in first and ";" in first:
        delimiter = ";"  # as spreadsheet programs write it where the comma is the decimal point
    try:
        header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except (csv.Error, ValueError) as error:
        raise UsageError(f"{name}: not a readable CSV file ({error}).") from error
    rows = [row for row in rows if row]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise UsageError(
                f"{name}, row {number}: {len(row)} values, but the header has {len(header)} "
                "columns. Quote values that contain the delimiter."
            )
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    return pa.Table.from_arrays(
        columns or [pa.array([], pa.string()) for _ in header], names=header
    )
