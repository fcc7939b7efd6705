"""Where a job's files lie: a folder of this machine, or a place in an object store.

A folder is a `pathlib.Path`. A place in a store is a `StorePath`, which has those of its methods
that jobs and reports use, so that both are worked with in one way.

Credentials, region and endpoint come from where the stores' own tools look for them, such as
`AWS_PROFILE` and `AWS_ENDPOINT_URL`; nothing of them is kept or logged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from magenet_batch.errors import JobError
from magenet_batch.places.store import (
    Facts,
    StorePath,
    brief,
    connect,
    is_store,
    refuse_other_schemes,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Facts", "StorePath", "brief", "connect", "is_store", "refuse_other_schemes"]

Place = Path | StorePath
"""A folder or file of this machine, or a place in an object store."""


def place_of(text: str) -> Place:
    """The place that a text names; paths become absolute.

    Raises:
        UsageError: it is a URI of another kind.
    """
    place = given_place(text)
    return place if isinstance(place, StorePath) else place.expanduser().resolve()


def given_place(text: str) -> Place:
    """The place that a text names; paths stay as they were given.

    Raises:
        UsageError: it is a URI of another kind.
    """
    refuse_other_schemes(text)
    return StorePath(text) if is_store(text) else Path(text)


def make_place(place: Place) -> None:
    """Make a folder, or see that a place in a store can be written to.

    Raises:
        JobError: it cannot be made, or its bucket is not there.
    """
    if isinstance(place, StorePath):
        place.require_bucket()
        return
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JobError(
            f"{place} cannot be made: {error.strerror}. Give another with -o."
        ) from error


def is_below(place: Place, other: Place) -> bool:
    """Whether a place is another or lies below it; both resolved."""
    if isinstance(place, StorePath) or isinstance(other, StorePath):
        return (
            isinstance(place, StorePath)
            and isinstance(other, StorePath)
            and place.is_relative_to(other)
        )
    return place.is_relative_to(other)


@contextmanager
def draft_of(target: Place) -> Iterator[Path]:
    """A file of this machine to write, which takes the target's place when it is whole."""
    if isinstance(target, StorePath):
        with TemporaryDirectory(prefix="magenet-") as folder:
            draft = Path(folder, "draft")
            yield draft
            target.write_bytes(draft.read_bytes())
        return
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield draft
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def facts_in(folder: Place) -> dict[str, Facts]:
    """Size and time of every file in a folder, by name; empty where there is no folder."""
    if isinstance(folder, StorePath):
        return folder.facts()
    try:
        with os.scandir(folder) as entries:
            stats = {e.name: e.stat() for e in entries if e.is_file()}
    except FileNotFoundError:
        return {}
    return {name: Facts(found.st_size, found.st_mtime) for name, found in stats.items()}


def names_in(folder: Place) -> list[str]:
    """Names of what lies in a folder, in no order; empty where there is no folder."""
    if isinstance(folder, StorePath):
        return [found.name for found in folder.iterdir()]
    return os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208  hot loop


class Sizes:
    """Sizes of very many files below one place, as they are asked for in about their order.

    Of a store, whole folders are listed, for asking after each object takes a hundred times as
    long; the last few are remembered.

    Args:
        place: where the files lie.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._listed = lru_cache(maxsize=16)(facts_in)

    def of(self, name: str) -> int:
        """Size in bytes of the file with a relative name; 0 where there is none."""
        if isinstance(self._place, StorePath):
            folder, _, last = name.rpartition("/")
            found = self._listed(self._place / folder).get(last)
            return 0 if found is None else found.st_size
        try:
            return (self._place / name).stat().st_size
        except OSError:
            return 0


def readable(file: Place) -> Path | pa.BufferReader:
    """What Parquet's reader takes: the path of a file here, the content of an object."""
    if not isinstance(file, StorePath):
        return file
    from pyarrow import BufferReader

    return BufferReader(file.read_bytes())
