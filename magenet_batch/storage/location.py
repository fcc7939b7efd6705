"""Handle folders on this machine and prefixes in object stores in the same way."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from magenet_batch.errors import StorageError, UsageError
from magenet_batch.storage.connection import is_store, refuse_other_schemes
from magenet_batch.storage.flush import make_folder
from magenet_batch.storage.store import FileStat, StorePath

if TYPE_CHECKING:
    import pyarrow as pa

Location = Path | StorePath
"""A folder or file on this machine, or a location in an object store."""


def location_of(text: str) -> Location:
    """Parse a location; paths become absolute.

    Raises:
        UsageError: the text is a URI of another kind.
    """
    place = given_location(text)
    return place if isinstance(place, StorePath) else expanded(text).resolve()


def given_location(text: str) -> Location:
    """Parse a location; paths stay as they were given.

    Raises:
        UsageError: the text is a URI of another kind.
    """
    refuse_other_schemes(text)
    return StorePath(text) if is_store(text) else Path(text)


def expanded(text: str) -> Path:
    """Parse a local path; `~` and `~NAME` at its beginning become home folders.

    Raises:
        UsageError: there is no such home folder.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"{text}: no home folder of this name. "
            f"For a folder with this name, write ./{text} instead."
        ) from error


def make_location(place: Location) -> None:
    """Create a folder, or check that a location in a store can be written to.

    Raises:
        StorageError: the folder cannot be created, or the bucket does not exist.
    """
    if isinstance(place, StorePath):
        place.require_bucket()
        return
    try:
        make_folder(place)
    except OSError as error:
        raise StorageError(
            f"{place} cannot be created: {error.strerror}. Choose another with -o."
        ) from error


def is_below(place: Location, other: Location) -> bool:
    """Whether a location equals another or lies below it; both resolved."""
    if isinstance(place, StorePath) or isinstance(other, StorePath):
        return (
            isinstance(place, StorePath)
            and isinstance(other, StorePath)
            and place.is_relative_to(other)
        )
    return place.is_relative_to(other)


def stats_in(folder: Location) -> dict[str, FileStat]:
    """Size and time of every file in a folder, by name; empty if there is no folder.

    Raises:
        StorageError: it cannot be listed.
    """
    if isinstance(folder, StorePath):
        return folder.stats()
    try:
        with os.scandir(folder) as entries:
            stats = {e.name: e.stat() for e in entries if e.is_file()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unlistable(folder, error) from error
    return {name: FileStat(found.st_size, found.st_mtime) for name, found in stats.items()}


def names_in(folder: Location) -> list[str]:
    """Names in a folder, unordered; empty if there is no folder.

    Raises:
        StorageError: it cannot be listed.
    """
    if isinstance(folder, StorePath):
        return [found.name for found in folder.iterdir()]
    try:
        return os.listdir(folder)  # noqa: PTH208  hot loop
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unlistable(folder, error) from error


def names_like(folder: Location, pattern: str) -> list[str]:
    """Names in a folder that match a pattern, in order; none if there is no folder.

    Raises:
        StorageError: the folder cannot be listed.
    """
    return sorted(name for name in names_in(folder) if fnmatchcase(name, pattern))


def _unlistable(folder: Path, error: OSError) -> StorageError:
    why = error.strerror or str(error)
    return StorageError(f"{folder} cannot be listed: {why}. Re-run the same command.", why=why)


class Sizes:
    """Sizes of very many files below one location, queried roughly in order.

    In a store, whole folders are listed, because a query for each object would take a hundred times
    as long; the last few lists are cached.

    Args:
        place: location of the files.
    """

    def __init__(self, place: Location) -> None:
        self._place = place
        self._listed = lru_cache(maxsize=16)(stats_in)

    def of(self, name: str) -> int:
        """Size in bytes of the file with a relative name; 0 if there is none."""
        if isinstance(self._place, StorePath):
            folder, _, last = name.rpartition("/")
            found = self._listed(self._place / folder).get(last)
            return 0 if found is None else found.st_size
        try:
            return (self._place / name).stat().st_size
        except OSError:
            return 0


def readable(file: Location) -> Path | pa.BufferReader:
    """A location in the form that pyarrow reads: a local path, or the content of an object."""
    if not isinstance(file, StorePath):
        return file
    from pyarrow import BufferReader

    return BufferReader(file.read_bytes())
