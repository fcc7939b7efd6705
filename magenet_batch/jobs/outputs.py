"""Where outputs go, so that no image is ever overwritten."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from magenet_batch.errors import UsageError
from magenet_batch.imaging.write import output_format_for


def output_name(key: str) -> str:
    """Where an image is written, relative to the output folder.

    The same relative path; what cannot be written in its own format gets `.png` appended, so
    that `a.gif` and `a.png` stay apart.
    """
    suffix = os.path.splitext(key)[1].lower()  # noqa: PTH122  hot loop
    if suffix and f".{output_format_for(suffix)}" in _same_format(suffix):
        return f"images/{key}"
    return f"images/{key}.png"


def _same_format(suffix: str) -> tuple[str, ...]:
    """Spellings of the format that a suffix stands for."""
    for family in ((".jpg", ".jpeg", ".jpe"), (".tif", ".tiff")):
        if suffix in family:
            return family
    return (suffix,)


def refuse_own_folder(archive: Path, given: str, *, out: Path) -> None:
    """Refuse an output folder that holds the archive."""
    folder = (archive if archive.is_dir() else archive.parent).resolve()
    if folder == out or out in folder.parents:
        raise UsageError(
            f"The output folder {out} holds the archive {given}: originals could be overwritten. "
            "Give a folder of its own with -o."
        )


def refuse_inside(table: pa.Table, *, out: Path) -> None:
    """Refuse images that lie in the output folder."""
    inside = pc.starts_with(table.column("source"), pattern=f"{out}{os.sep}")
    if pc.any(inside).as_py():
        first = table.filter(inside).column("source")[0].as_py()
        raise UsageError(
            f"{first} lies in the output folder {out}: it could be overwritten. "
            "Give a folder of its own with -o."
        )


def refuse_collisions(table: pa.Table) -> None:
    """Refuse outputs that would overwrite each other, on file systems that ignore case too."""
    seen: dict[str, int] = {}
    clashes = []
    for index, output in enumerate(table.column("output").to_pylist()):
        first = seen.setdefault(unicodedata.normalize("NFC", output).casefold(), index)
        if first != index:
            sources = table.column("source")
            clashes.append(f"  {sources[first].as_py()} and {sources[index].as_py()}")
    if clashes:
        more = [f"  and {len(clashes) - 5} more"] if len(clashes) > 5 else []
        raise UsageError(
            "\n".join(
                [
                    f"{len(clashes)} images would be written over others "
                    "(names are compared without regard to case):",
                    *clashes[:5],
                    *more,
                    "Rename them, leave some out with --exclude, or enhance them in two jobs.",
                ]
            )
        )
