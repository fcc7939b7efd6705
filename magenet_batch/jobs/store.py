"""Archives in object stores, through pyarrow: S3 and what speaks its language, and Google's.

Credentials, region and endpoint come from where the stores' own tools look for them, such as
`AWS_PROFILE` and `AWS_ENDPOINT_URL`; nothing of them is kept or logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from magenet_batch.errors import ImageError, UsageError
from magenet_batch.jobs.listing import Choice, Found, Skipped

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_URI = re.compile(r"(s3|gs)://[^/]+")


def is_store(text: str) -> bool:
    """Whether a text names a place in an object store."""
    return _URI.match(text) is not None


def list_store(uri: str, *, choice: Choice, skipped: Skipped) -> Iterator[Found]:
    """List the images below a place in a store, sorted by name.

    Args:
        uri: such as `s3://bucket/folder`.
        choice: which objects count as images.
        skipped: counts what is left out.

    Raises:
        UsageError: the store does not answer, or there is no such place.
    """
    from pyarrow.fs import FileSelector, FileType

    scheme = uri.partition("://")[0]
    files, root = _open(uri)
    try:
        entries = files.get_file_info(FileSelector(root, recursive=True))
    except OSError as error:
        raise UsageError(f"{uri} cannot be listed: {_brief(error)}") from error
    for entry in sorted(entries, key=lambda e: e.path.split("/")):
        if entry.type != FileType.File:
            continue
        key = entry.path.removeprefix(root).lstrip("/")
        if any(part.startswith(".") for part in key.split("/")):
            skipped.hidden += 1
        elif choice.takes(key, skipped):
            yield Found(key, f"{scheme}://{entry.path}", entry.size)


def read_object(uri: str) -> bytes:
    """The content of an object.

    Raises:
        ImageError: `unreadable`, if it is gone or the store does not answer.
    """
    try:
        files, path = _open(uri)
        with files.open_input_file(path) as stream:
            return bytes(stream.read())
    except (OSError, UsageError) as error:
        raise ImageError("unreadable", f"it cannot be fetched: {_brief(error)}") from error


def _open(uri: str) -> tuple[FileSystem, str]:
    """The store that a place is in, and the path in it."""
    scheme, _, path = uri.partition("://")
    bucket = path.partition("/")[0]
    return _store(scheme, bucket), path.rstrip("/")


@lru_cache(maxsize=32)
def _store(scheme: str, bucket: str) -> FileSystem:
    """One connection per bucket and process, with its timeouts bounded."""
    import os

    from pyarrow.fs import GcsFileSystem, S3FileSystem

    try:
        if scheme == "gs":
            return GcsFileSystem()
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        how = {"endpoint_override": endpoint} if endpoint else {}
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        return S3FileSystem(region=region, connect_timeout=20, request_timeout=120, **how)
    except (OSError, ValueError) as error:
        raise UsageError(f"the store of {scheme}://{bucket} cannot be used: {error}") from error


def _brief(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200]
