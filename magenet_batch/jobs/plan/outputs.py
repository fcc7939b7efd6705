"""Names of outputs, chosen so that no image is ever overwritten."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from magenet_batch.errors import UsageError, printable
from magenet_batch.imaging.names import OutputFormat, suffix_to_append
from magenet_batch.records.layout import original_name
from magenet_batch.storage import Location, StorePath


def output_name(key: str, *, wanted: OutputFormat = "source") -> str:
    """Name of an image's output, relative to the output folder.

    It is the same relative path; a name that does not fit the written format gets an extension
    appended, so that `a.bmp` and `a.png` do not collide.
    """
    suffix = os.path.splitext(key)[1].lower()  # noqa: PTH122  hot loop
    return original_name(f"{key}{suffix_to_append(suffix, wanted=wanted)}")


def refuse_own_folder(archive: Path, given: str, *, out: Location) -> None:
    """Refuse an output folder that contains the archive."""
    folder = (archive if archive.is_dir() else archive.parent).resolve()
    if folder == out or out in folder.parents:
        raise UsageError(
            f"The output folder {out} contains the archive {given}: originals could be "
            "overwritten. Choose another folder with -o."
        )


def refuse_own_place(given: str, *, out: Location) -> None:
    """Refuse an output location in a store that overlaps the archive."""
    if not isinstance(out, StorePath):
        return
    archive = StorePath(given)
    if archive.is_relative_to(out) or out.is_relative_to(archive):
        raise UsageError(
            f"The output location {out} and the archive {given} overlap: originals could "
            "be overwritten. Choose another output with -o."
        )


def refuse_inside(table: pa.Table, *, out: Location) -> None:
    """Refuse images that are inside the output folder."""
    inside = pc.starts_with(table.column("source"), pattern=f"{out}{os.sep}")
    if pc.any(inside).as_py():
        first = table.filter(inside).column("source")[0].as_py()
        raise UsageError(
            f"{printable(first)} is inside the output folder {out}: it could be overwritten. "
            "Choose another folder with -o."
        )


def refuse_collisions(table: pa.Table) -> None:
    """Refuse outputs that would overwrite each other, or need a folder where another is a file.

    Names are compared as the least exact file system does: without regard to case and to how
    accents are encoded.
    """
    outputs = table.column("output")
    # The usual case, in a tenth of the memory.
    ascii_only = pc.all(pc.string_is_ascii(outputs)).as_py()
    lower = pc.ascii_lower(outputs) if ascii_only else None
    if lower is not None and pc.count_distinct(lower).as_py() == len(outputs):
        folders = pc.unique(pc.replace_substring_regex(lower, r"/[^/]*$", ""))
        if not pc.any(pc.is_in(lower, value_set=_with_parents(folders.to_pylist()))).as_py():
            return
    _refuse(outputs.to_pylist(), table.column("source"))


def _with_parents(folders: list[str]) -> pa.Array:
    """Some folders and all folders above them."""
    every = set(folders)
    for folder in folders:
        while (folder := folder.rpartition("/")[0]) and folder not in every:
            every.add(folder)
    return pa.array(sorted(every), pa.string())


def _refuse(outputs: list[str], sources: pa.ChunkedArray) -> None:
    keys = [unicodedata.normalize("NFC", output).casefold() for output in outputs]
    seen: dict[str, int] = {}
    clashes: list[tuple[int, int, str]] = []
    for index, key in enumerate(keys):
        first = seen.setdefault(key, index)
        if first != index:
            clashes.append((first, index, _difference(outputs[first], outputs[index])))
    for index, key in enumerate(keys):
        while key := key.rpartition("/")[0]:
            if key in seen:
                clashes.append((seen[key], index, "one is a file, the other needs a folder"))
                break
    if not clashes:
        return
    shown = [
        f"  {printable(sources[first].as_py())} and {printable(sources[index].as_py())}: {why}"
        for first, index, why in clashes[:5]
    ]
    more = [f"  and {len(clashes) - 5} more"] if len(clashes) > 5 else []
    raise UsageError(
        "\n".join(
            [
                f"{len(clashes)} images would overwrite others:",
                *shown,
                *more,
                "Rename them, exclude some with --exclude, or split them into two jobs.",
            ]
        )
    )


def _difference(one: str, other: str) -> str:
    if one == other:
        return "the same output name"
    if unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other):
        return "their names look the same; only the encoding of accents differs (NFC, NFD)"
    return "their names differ only in case"
