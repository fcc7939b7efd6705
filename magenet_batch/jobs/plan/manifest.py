"""Read the list of images from a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from magenet_batch.errors import UsageError, nearest
from magenet_batch.jobs.plan.listing import Choice, Found, Skipped, file_version
from magenet_batch.jobs.plan.roots import LocalRoot, Root, absolute, common_folder, root_of
from magenet_batch.jobs.plan.tables import STANDARD_INPUT, load_table
from magenet_batch.records.schema import COLUMN_NAMES
from magenet_batch.storage import is_store

PATH_COLUMNS = (
    "path", "image_path", "file_path", "filepath", "file", "filename", "file_name",
    "image", "image_file", "source", "src", "uri", "url", "name",
)  # fmt: skip
"""Names of path columns, first match first; case does not matter."""
_RESERVED = {*COLUMN_NAMES, "raw", "modified_ns", "plan_index"}  # of rows and plans


def read_manifest(
    given: str, *, path_column: str | None, root: str | None, choice: Choice, skipped: Skipped
) -> tuple[list[Found], pa.Table | None]:
    """Read a manifest.

    Args:
        given: a Parquet, CSV or TSV file with one row per image, a folder of Parquet files, or a
            list of paths in a text file or, as `-`, on standard input; all files also as URIs.
        path_column: column of the paths; None detects it among `PATH_COLUMNS`.
        root: folder or location that paths are relative to. None is the manifest's own folder, or
            the working directory for standard input; images of a list are then named from the
            deepest folder that contains all of them.
        choice: globs to include and exclude; the extension does not matter here.
        skipped: counts what the globs leave out.

    Returns:
        The images in the manifest's order, and a table with its other columns, row by row; None for
        a plain list.

    Raises:
        UsageError: the manifest cannot be read, the column is missing or not text, or a path is
            null, empty, duplicated or outside the root; the message gives the row number from 1.
    """
    table = load_table(given)
    if isinstance(table, list):
        name = "standard input" if given == STANDARD_INPUT else given
        if root is None:
            here = None if given == STANDARD_INPUT else _folder_of(given)
            table = absolute(table, folder=here)
        base = root_of(root) if root is not None else LocalRoot(common_folder(table))
        found, _ = _found(table, f"{name}, line", base, choice, skipped)
        return found, None
    column = _path_column(table, given, path_column)
    base = root_of(root if root is not None else _folder_of(given))
    values = table.column(column).to_pylist()
    found, taken = _found(values, f"{given}, column '{column}', row", base, choice, skipped)
    extra = table.drop_columns([column]).take(pa.array(taken, pa.int64()))
    return found, _carried(extra)


def _folder_of(given: str) -> str:
    if is_store(given):
        return given.rpartition("/")[0]
    path = Path(given).absolute()
    return str(path if path.is_dir() else path.parent)


def _found(
    values: Sequence[str | None], where: str, root: Root, choice: Choice, skipped: Skipped
) -> tuple[list[Found], list[int]]:
    """The images that some paths name, and the positions of their rows."""
    seen: dict[str, int] = {}
    found: list[Found] = []
    taken: list[int] = []
    for number, value in enumerate(values, start=1):
        if value is None or not value.strip():
            what = "null" if value is None else "empty"
            raise UsageError(f"{where} {number}: the path is {what}.")
        if "\0" in value:
            raise UsageError(f"{where} {number}: the path holds a null character.")
        key, source = root.locate(value, where=f"{where} {number}")
        if key in seen:
            raise UsageError(
                f"{where} {number}: '{key}' is already in row {seen[key]}. "
                "Each image may be listed only once; remove one of the rows."
            )
        seen[key] = number
        if choice.takes(key, skipped, by_suffix=False):
            version = (None, None) if is_store(source) else file_version(source)
            found.append(Found(key, source, *version))
            taken.append(number - 1)
    return found, taken


def _path_column(table: pa.Table, manifest: str, wanted: str | None) -> str:
    names = table.column_names
    if wanted is not None:
        if wanted not in names:
            raise UsageError(f"{manifest}: no column '{wanted}': {nearest(wanted, names)}.")
        chosen = wanted
    else:
        by_lower = {name.lower(): name for name in reversed(names)}
        chosen = next((by_lower[n] for n in PATH_COLUMNS if n in by_lower), "")
        if not chosen:
            raise UsageError(
                f"{manifest}: no column seems to hold image paths. "
                f"Choose it with --path-column; the columns are: {', '.join(names)}."
            )
    if names.count(chosen) > 1:
        raise UsageError(f"{manifest}: several columns are called '{chosen}'; rename all but one.")
    kind = table.schema.field(chosen).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise UsageError(
            f"{manifest}: column '{chosen}' holds {kind}, not text. "
            "Choose the column of paths with --path-column."
        )
    return chosen


def _carried(table: pa.Table) -> pa.Table:
    """Rename columns that would collide with the row's own."""
    names = [f"manifest_{n}" if n in _RESERVED else n for n in table.column_names]
    if len(set(names)) != len(names):
        twice = sorted({n for n in names if names.count(n) > 1})
        raise UsageError(f"The manifest has columns of the same name: {', '.join(twice)}.")
    return table.rename_columns(names)
