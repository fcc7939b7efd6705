"""A place in an object store that is worked with as a `pathlib.Path` is."""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import lru_cache, total_ordering
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from magenet_batch.errors import StorageError, UsageError

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

KEY_BYTES = 1024
"""Longest name of an object, in bytes of UTF-8, that S3 and Google's store take."""
ONE_PUT_BYTES = 4_000_000
"""Up to here an object is one request; pyarrow, in all its versions, cuts only larger ones."""
TRIES = 5
"""How often S3 is asked before it is believed to be out of reach: an outage of some seconds, or a
store that asks to be asked less often, ends no job."""
_URI = re.compile(r"(s3|gs)://[^/]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class FileStat(NamedTuple):
    """Size in bytes, and the time of the last change in seconds since 1970, as `os.stat` has."""

    st_size: int
    st_mtime: float


@total_ordering
class StorePath:
    """A place in an object store, with the methods of `pathlib.Path` that jobs and reports use.

    Stores have no folders: making one does nothing, and one without objects is not there. Objects
    are put whole or not at all, and are seen by everybody from then on.

    Args:
        uri: such as `s3://bucket/folder`.

    Raises:
        UsageError: the URI has empty parts.
        StorageError: from every method that asks the store, if it refuses or does not answer.
    """

    def __init__(self, uri: str) -> None:
        self._scheme, _, path = uri.partition("://")
        self._path = path.strip("/")
        if "//" in self._path:
            raise UsageError(f"{uri}: write single slashes; names with empty parts are not read")

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
        return StorePath(f"{self}/{name}")

    @property
    def name(self) -> str:
        """What comes after the last slash."""
        return self._path.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The end of the name from its last dot."""
        return Path(self.name).suffix

    @property
    def parent(self) -> StorePath:
        """The place without the last part."""
        return StorePath(str(self).rpartition("/")[0])

    def with_name(self, name: str) -> StorePath:
        """The place beside this one with another name."""
        return self.parent / name

    def with_suffix(self, suffix: str) -> StorePath:
        """The place with another end of its name."""
        return self.with_name(Path(self.name).with_suffix(suffix).name)

    def resolve(self) -> StorePath:
        """The place itself: stores have no links."""
        return self

    def is_relative_to(self, other: StorePath) -> bool:
        """Whether this is another place or lies below it."""
        parts = self._path.split("/")
        return f"{self}/".startswith(f"{other}/") and ".." not in parts and "." not in parts

    def exists(self) -> bool:
        """Whether there is an object of this name, or one below it."""
        result: bool = self._info().type.name != "NotFound"
        return result

    def is_file(self) -> bool:
        """Whether there is an object of this name."""
        result: bool = self._info().type.name == "File"
        return result

    def is_dir(self) -> bool:
        """Whether there is an object below this place."""
        result: bool = self._info().type.name == "Directory"
        return result

    def stat(self) -> FileStat:
        """Size and time of an object.

        Raises:
            FileNotFoundError: there is none.
        """
        found = self._info()
        if found.type.name != "File":
            raise FileNotFoundError(f"{self}: there is no such object")
        return _file_stat(found)

    def iterdir(self) -> Iterator[StorePath]:
        """What lies directly in this place; nothing where it is not there."""
        return (self / info.base_name for info in self._list())

    def glob(self, pattern: str) -> Iterator[StorePath]:
        """What lies directly in this place and matches a pattern without slashes."""
        return (found for found in self.iterdir() if fnmatchcase(found.name, pattern))

    def stats(self) -> dict[str, FileStat]:
        """Size and time of every object directly in this place, by name."""
        return {i.base_name: _file_stat(i) for i in self._list() if i.type.name == "File"}

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: objects need no folder."""

    def read_bytes(self) -> bytes:
        """The content of an object.

        Raises:
            FileNotFoundError: there is none.
        """
        try:
            with self._store.open_input_file(self._path) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._refused("read", error) from error

    def read_text(self, *, encoding: str = "utf-8") -> str:
        """The content of an object as text."""
        return self.read_bytes().decode(encoding)

    def write_bytes(self, data: bytes) -> None:
        """Put an object, whole or not at all: what was there stays until all of it has arrived.

        Raises:
            StorageError: its name is too long, or the store does not take it.
        """
        if len(self._path.partition("/")[2].encode()) > KEY_BYTES:
            why = f"a store takes names of at most {KEY_BYTES} bytes"
            raise StorageError(f"{self} cannot be written: {why}", why=why)
        kind = mimetypes.guess_type(self.name)[0] or "application/octet-stream"
        # A stream that is opened late, and cannot begin an upload in parts, puts an empty object
        # when it is closed. Opened at once, it fails before there is anything to close.
        store = self._store if len(data) <= ONE_PUT_BYTES else connect(self._scheme, late=False)
        try:
            with store.open_output_stream(self._path, metadata={"Content-Type": kind}) as stream:
                stream.write(data)
        except OSError as error:
            raise self._refused("written", error) from error

    def write_text(self, text: str, *, encoding: str = "utf-8") -> None:
        """Put an object that is text."""
        self.write_bytes(text.encode(encoding))

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Remove an object."""
        try:
            self._store.delete_file(self._path)
        except FileNotFoundError:
            if not missing_ok:
                raise
        except OSError as error:
            raise self._refused("removed", error) from error

    def require_bucket(self) -> None:
        """Refuse a bucket that is not there, before anything is worked for it."""
        bucket = StorePath(f"{self._scheme}://{self._path.partition('/')[0]}")
        if not bucket.exists():
            raise StorageError(f"{self}: no such bucket. Make it, or give another with -o.")

    @property
    def _store(self) -> FileSystem:
        return connect(self._scheme)

    def _info(self) -> FileInfo:
        try:
            return self._store.get_file_info(self._path)
        except OSError as error:
            raise self._refused("looked at", error) from error

    def _list(self) -> list[FileInfo]:
        from pyarrow.fs import FileSelector

        try:
            return list(self._store.get_file_info(FileSelector(self._path, allow_not_found=True)))
        except OSError as error:
            raise self._refused("listed", error) from error

    def _refused(self, what: str, error: OSError) -> StorageError:
        why = brief(error).rstrip(".")
        return StorageError(
            f"{self} cannot be {what}: {why}. Check the bucket, the credentials and the "
            "network, then re-run the same command.",
            why=why, persistent=True,
        )  # fmt: skip


def is_store(text: str) -> bool:
    """Whether a text names a place in an object store."""
    return _URI.match(text) is not None


def refuse_other_schemes(text: str) -> None:
    """Refuse what names no place in a store that is known, and would be taken for a folder.

    Raises:
        UsageError: it begins as a URI does.
    """
    if _SCHEME.match(text) and not is_store(text):
        raise UsageError(
            f"{text}: not a place that is known. Give a folder, s3://BUCKET/FOLDER or "
            "gs://BUCKET/FOLDER; stores that speak S3's language are reached through "
            "AWS_ENDPOINT_URL."
        )


def brief(error: BaseException) -> str:
    """What a store says, on one line."""
    return str(error).strip().splitlines()[0].partition(" (Request")[0][:200]


def _file_stat(found: FileInfo) -> FileStat:
    return FileStat(int(found.size or 0), (found.mtime_ns or 0) / 1e9)


@lru_cache(maxsize=4)
def connect(scheme: str, *, late: bool = True) -> FileSystem:
    """The connection to a store; one for a process, with its timeouts bounded.

    Args:
        scheme: `s3` or `gs`.
        late: whether an object's upload begins when its stream is closed, which makes it one
            request and not three; only for what fits into one.

    Raises:
        UsageError: the store cannot be used from here.
    """
    from pyarrow.fs import AwsStandardS3RetryStrategy, GcsFileSystem, S3FileSystem

    try:
        if scheme == "gs":
            return GcsFileSystem()
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        how: dict[str, Any] = {"endpoint_override": endpoint} if endpoint else {}
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if "allow_delayed_open" in (S3FileSystem.__doc__ or ""):  # not in old pyarrow
            how["allow_delayed_open"] = late
        return S3FileSystem(
            region=region, connect_timeout=20, request_timeout=120,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=TRIES), **how,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise UsageError(f"{scheme}:// cannot be used here: {brief(error)}") from error
