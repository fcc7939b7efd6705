"""A location in an object store with the interface of `pathlib.Path`."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import total_ordering
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from magenet_batch.errors import StorageError, UsageError
from magenet_batch.storage.conditional import Version, Versioned
from magenet_batch.storage.connection import THIS_CLIENT, Client, brief

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

KEY_BYTES = 1024
"""Maximum length of an object's name in S3 and Google Cloud Storage, bytes of UTF-8."""
ONE_PUT_BYTES = 4_000_000
"""Maximum size for a single request; every version of pyarrow splits only larger objects."""


class FileStat(NamedTuple):
    """Size in bytes and time of the last change in seconds since 1970, as in `os.stat`."""

    st_size: int
    st_mtime: float


@total_ordering
class StorePath:
    """A location in an object store, with the methods of `pathlib.Path` that jobs and reports use.

    Stores have no folders: creating one does nothing, and one without objects does not exist.
    Objects are written completely or not at all, and are visible to everyone from then on.

    Args:
        uri: URI such as `s3://bucket/folder`.
        client: connects to the store; locations that are derived from this one share it.

    Raises:
        UsageError: the URI has empty parts.
        StorageError: the store refuses or does not respond; from every method that queries it.
    """

    def __init__(self, uri: str, *, client: Client = THIS_CLIENT) -> None:
        self.client = client
        self._scheme, _, path = uri.partition("://")
        self._path = path.strip("/")
        if "//" in self._path:
            raise UsageError(
                f"{uri}: write single slashes. Names with empty components are not supported."
            )

    def __str__(self) -> str:
        return f"{self._scheme}://{self._path}"

    def __repr__(self) -> str:
        return f"StorePath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StorePath) and str(self) == str(other)

    def __lt__(self, other: StorePath) -> bool:
        return str(self) < str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __truediv__(self, name: str) -> StorePath:
        return self._of(f"{self}/{name}")

    @property
    def scheme(self) -> str:
        """`s3` or `gs`."""
        return self._scheme

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self._path.partition("/")[0]

    @property
    def key(self) -> str:
        """Name of the object in its bucket."""
        return self._path.partition("/")[2]

    @property
    def name(self) -> str:
        """Last component of the name."""
        return self._path.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """Extension of the name, from its last dot."""
        return Path(self.name).suffix

    @property
    def parent(self) -> StorePath:
        """The location without its last component."""
        return self._of(str(self).rpartition("/")[0])

    def with_name(self, name: str) -> StorePath:
        """The location with another last component."""
        return self.parent / name

    def with_suffix(self, suffix: str) -> StorePath:
        """The location with another extension."""
        return self.with_name(Path(self.name).with_suffix(suffix).name)

    def resolve(self) -> StorePath:
        """The location itself: stores have no links."""
        return self

    def is_relative_to(self, other: StorePath) -> bool:
        """Whether this equals another location or lies below it."""
        parts = self._path.split("/")
        return f"{self}/".startswith(f"{other}/") and ".." not in parts and "." not in parts

    def exists(self) -> bool:
        """Whether there is an object with this name or below it."""
        result: bool = self._info().type.name != "NotFound"
        return result

    def is_file(self) -> bool:
        """Whether there is an object with this name."""
        result: bool = self._info().type.name == "File"
        return result

    def is_dir(self) -> bool:
        """Whether there is an object below this location."""
        result: bool = self._info().type.name == "Directory"
        return result

    def stat(self) -> FileStat:
        """Size and time of an object.

        Raises:
            FileNotFoundError: there is no such object.
        """
        found = self._info()
        if found.type.name != "File":
            raise FileNotFoundError(f"{self}: no such object")
        return _file_stat(found)

    def iterdir(self) -> Iterator[StorePath]:
        """Yield the direct children of this location; nothing if it does not exist."""
        return (self / info.base_name for info in self._list())

    def glob(self, pattern: str) -> Iterator[StorePath]:
        """Yield the direct children that match a pattern without slashes."""
        return (found for found in self.iterdir() if fnmatchcase(found.name, pattern))

    def stats(self) -> dict[str, FileStat]:
        """Size and time of every object directly in this location, by name."""
        return {i.base_name: _file_stat(i) for i in self._list() if i.type.name == "File"}

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: objects need no folder."""

    def read_bytes(self, *, check: Callable[[int], None] | None = None) -> bytes:
        """Content of an object.

        Args:
            check: called with its size before it is downloaded; raises if it must not be.

        Raises:
            FileNotFoundError: there is no such object.
        """
        try:
            with self._store.open_input_file(self._path) as stream:
                if check is not None:
                    check(stream.size())
                return bytes(stream.read())
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self.refused("read", error) from error

    def read_text(self, *, encoding: str = "utf-8") -> str:
        """Content of an object as text."""
        return self.read_bytes().decode(encoding)

    def write_bytes(self, data: bytes) -> None:
        """Write an object atomically: an old one stays until the new one has arrived completely.

        Raises:
            StorageError: the name is too long, or the store refuses the object.
        """
        if len(self.key.encode()) > KEY_BYTES:
            why = f"names in a store are limited to {KEY_BYTES} bytes"
            raise StorageError(f"{self} cannot be written: {why}.", why=why)
        kind = mimetypes.guess_type(self.name)[0] or "application/octet-stream"
        # A stream that is opened lazily, and fails to start a multipart upload, writes an empty
        # object when it is closed. Opened at once, it fails before there is anything to close.
        store = self.client.files(self._scheme, late=len(data) <= ONE_PUT_BYTES)
        try:
            with store.open_output_stream(self._path, metadata={"Content-Type": kind}) as stream:
                stream.write(data)
        except OSError as error:
            raise self.refused("written", error) from error

    def read_version(self) -> Versioned:
        """Content of an object, with what `put_if` needs to replace exactly this.

        Raises:
            FileNotFoundError: there is no such object.
            ConditionsUnsupportedError: the store has no conditional puts.
        """
        try:
            return self.client.conditional(self._scheme, self.bucket).read(self.key)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self.refused("read", error) from error

    def put_if(self, data: bytes, *, over: Version | None) -> Version | None:
        """Write an object if it is still in a known state; see `ConditionalPuts.put`.

        Raises:
            ConditionsUnsupportedError: the store has no conditional puts.
        """
        try:
            puts = self.client.conditional(self._scheme, self.bucket)
            return puts.put(self.key, data, over=over)
        except OSError as error:
            raise self.refused("written", error) from error

    def write_text(self, text: str, *, encoding: str = "utf-8") -> None:
        """Write an object that is text."""
        self.write_bytes(text.encode(encoding))

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Remove an object."""
        try:
            self._store.delete_file(self._path)
        except FileNotFoundError:
            if not missing_ok:
                raise
        except OSError as error:
            raise self.refused("removed", error) from error

    def require_bucket(self) -> None:
        """Check that the bucket exists before any work starts."""
        bucket = self._of(f"{self._scheme}://{self.bucket}")
        if not bucket.exists():
            raise StorageError(f"{self}: no such bucket. Create it, or choose another with -o.")

    @property
    def _store(self) -> FileSystem:
        return self.client.files(self._scheme)

    def _of(self, uri: str) -> StorePath:
        return StorePath(uri, client=self.client)

    def _info(self) -> FileInfo:
        try:
            return self._store.get_file_info(self._path)
        except OSError as error:
            raise self.refused("looked at", error) from error

    def _list(self) -> list[FileInfo]:
        from pyarrow.fs import FileSelector

        try:
            return list(self._store.get_file_info(FileSelector(self._path, allow_not_found=True)))
        except OSError as error:
            raise self.refused("listed", error) from error

    def refused(self, what: str, error: Exception) -> StorageError:
        """Translate a store's error; `what` could not be done with this location."""
        why = brief(error).rstrip(".")
        return StorageError(
            f"{self} cannot be {what}: {why}. Check the bucket, the credentials and the "
            "network, then re-run the same command.",
            why=why, persistent=True,
        )  # fmt: skip


def _file_stat(found: FileInfo) -> FileStat:
    return FileStat(int(found.size or 0), (found.mtime_ns or 0) / 1e9)
