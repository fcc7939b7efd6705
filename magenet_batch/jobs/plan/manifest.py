"""Read the list of images from a Parquet manifest."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from magenet_batch.errors import UsageError, nearest
from magenet_batch.jobs.plan.listing import Choice, Found, Skipped, file_bytes
from magenet_batch.records.schema import COLUMN_NAMES

PATH_COLUMNS = (
    "path", "image_path", "file_path", "filepath", "file", "filename", "file_name",
    "image", "image_file", "source", "src", "uri", "name",
)  # fmt: skip
"""Names of path columns, first match first; case does not matter."""


def read_manifest(
    manifest: Path, *, path_column: str | None, root: Path | None, choice: Choice, skipped: Skipped
) -> tuple[list[Found], pa.Table]:
    """Read a manifest.

    Args:
        manifest: a `.parquet` file with one row per image.
        path_column: column of the paths; None detects it among `PATH_COLUMNS`.
        root: folder that paths are relative to; None for the manifest's own folder.
        choice: globs to include and exclude; the extension does not matter here.
        skipped: counts what the globs leave out.

    Returns:
        The images in the manifest's order, and a table with its other columns, row by row.

    Raises:
        UsageError: the file is not Parquet, the column is missing or not text, or a path is null,
            empty, duplicated or outside the root; the message gives the row number from 1.
    """
    try:
        table = pq.read_table(manifest)
    except (pa.ArrowInvalid, OSError) as error:
        raise UsageError(f"{manifest}: not a readable Parquet file: {error}") from error
    column = _path_column(table, manifest, path_column)
    base = (root or manifest.parent).resolve()
    seen: dict[str, int] = {}
    found: list[Found] = []
    taken: list[int] = []
    for number, value in enumerate(table.column(column).to_pylist(), start=1):
        key = _key(value, where=f"{manifest}, row {number}, column '{column}'", root=base)
        if key in seen:
            raise UsageError(
                f"{manifest}, row {number}: '{key}' is already in row {seen[key]}. "
                "Each image may be listed only once; remove one of the rows."
            )
        seen[key] = number
        if choice.takes(key, skipped, by_suffix=False):
            path = str(base / key)
            found.append(Found(key, path, file_bytes(path)))
            taken.append(number - 1)
    extra = _carried(table.drop_columns([column]).take(pa.array(taken, pa.int64())))
    return found, extra


def _path_column(table: pa.Table, manifest: Path, wanted: str | None) -> str:
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
    kind = table.schema.field(chosen).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise UsageError(
            f"{manifest}: column '{chosen}' holds {kind}, not text. "
            "Choose the column of paths with --path-column."
        )
    return chosen


def _key(value: Any, *, where: str, root: Path) -> str:
    """Convert a manifest's path to a safe relative one."""
    if value is None or not value.strip():
        raise UsageError(f"{where}: the path is {'null' if value is None else 'empty'}.")
    if "\0" in value:
        raise UsageError(f"{where}: the path holds a null character.")
    path: str = value.replace("\\", "/") if "/" not in value else value
    if posixpath.isabs(path):
        path = posixpath.relpath(posixpath.normpath(path), root.as_posix())
    path = posixpath.normpath(path)
    if path == "." or path == ".." or path.startswith("../"):
        raise UsageError(
            f"{where}: '{value}' is not inside {root}. "
            "Give the folder that holds all images with --root."
        )
    return path


def _carried(table: pa.Table) -> pa.Table:
    """Rename columns that would collide with the row's own."""
    names = [f"manifest_{n}" if n in COLUMN_NAMES else n for n in table.column_names]
    if len(set(names)) != len(names):
        twice = sorted({n for n in names if names.count(n) > 1})
        raise UsageError(f"The manifest has columns of the same name: {', '.join(twice)}.")
    return table.rename_columns(names)
