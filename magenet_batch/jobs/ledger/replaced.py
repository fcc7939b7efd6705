"""Removes what a replaced row had put into the output folder, and its new row does not name."""

from __future__ import annotations

from magenet_batch.records.layout import EVIDENCE, IMAGES, PREVIEWS, lies_in, set_aside_name
from magenet_batch.records.schema import Row
from magenet_batch.storage import Location, remove_file

_PLACES = {"output": IMAGES, "evidence": EVIDENCE, "preview": PREVIEWS}


def remove_replaced(out: Location, before: Row, after: Row, *, enhanced: str) -> None:
    """Remove files that an old row names and the new one does not; what is gone already is fine.

    Args:
        out: the output folder.
        before: the row that is replaced.
        after: the row that replaces it.
        enhanced: name of the image's enhanced output, which a reviewer may have set aside.

    Raises:
        StorageError: a file cannot be removed.
    """
    gone = _files_of(before) - _files_of(after)
    if before.get("decision"):
        gone.add(set_aside_name(enhanced))
    for name in sorted(gone):
        remove_file(out / name, root=out)


def _files_of(row: Row) -> set[str]:
    """Files that belong to a row, as far as they are where the job puts such files."""
    return {row[column] for column, place in _PLACES.items() if lies_in(place, row.get(column))}
