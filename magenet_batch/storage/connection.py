"""Connections to object stores, with the credentials that the stores' own tools use."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from magenet_batch.errors import UsageError
from magenet_batch.storage.conditional import ConditionalPuts, conditional_puts

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

TRIES = 5
"""Number of attempts before S3 counts as unreachable: an outage of some seconds, or a store that
throttles requests, ends no job."""
_URI = re.compile(r"(s3|gs)://[^/]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Client(Protocol):
    """What locations in stores need; a simulation has its own."""

    def files(self, scheme: str, *, late: bool = True) -> FileSystem:
        """The file system of a store; see `connect`."""
        ...

    def conditional(self, scheme: str, bucket: str) -> ConditionalPuts:
        """Conditional puts into a bucket."""
        ...


class _ThisClient:
    """The stores as this machine reaches them."""

    def files(self, scheme: str, *, late: bool = True) -> FileSystem:
        return connect(scheme, late=late)

    def conditional(self, scheme: str, bucket: str) -> ConditionalPuts:
        return conditional_puts(scheme, bucket, endpoint=s3_endpoint())


THIS_CLIENT: Client = _ThisClient()


def is_store(text: str) -> bool:
    """Whether a text names a location in an object store."""
    return _URI.match(text) is not None


def refuse_other_schemes(text: str) -> None:
    """Refuse URIs of unsupported stores, which would otherwise count as folder names.

    Raises:
        UsageError: the text starts like a URI.
    """
    if _SCHEME.match(text) and not is_store(text):
        raise UsageError(
            f"{text}: not a supported location. Give a folder, s3://BUCKET/FOLDER or "
            "gs://BUCKET/FOLDER; S3-compatible stores are reached through "
            "AWS_ENDPOINT_URL."
        )


def brief(error: BaseException) -> str:
    """Message of a store's error, on one line."""
    return str(error).strip().splitlines()[0].partition(" (Request")[0][:200]


def s3_endpoint() -> str | None:
    """Address of a store that speaks S3, if it is not Amazon's."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


@lru_cache(maxsize=4)
def connect(scheme: str, *, late: bool = True) -> FileSystem:
    """Connection to a store with bounded timeouts; one per process.

    Args:
        scheme: `s3` or `gs`.
        late: whether the upload of an object starts when its stream is closed, which makes it one
            request instead of three; only for objects that fit into one request.

    Raises:
        UsageError: the store cannot be used from this machine.
    """
    from pyarrow.fs import AwsStandardS3RetryStrategy, GcsFileSystem, S3FileSystem

    try:
        if scheme == "gs":
            return GcsFileSystem()
        endpoint = s3_endpoint()
        how: dict[str, Any] = {"endpoint_override": endpoint} if endpoint else {}
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if "allow_delayed_open" in (
            S3FileSystem.__doc__ or ""
        ):  # missing in old versions of pyarrow
            how["allow_delayed_open"] = late
        return S3FileSystem(
            region=region, connect_timeout=20, request_timeout=120,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=TRIES), **how,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise UsageError(f"{scheme}:// cannot be used here: {brief(error)}.") from error
