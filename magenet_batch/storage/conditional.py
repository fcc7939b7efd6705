"""Puts into object stores that happen only under a condition: the compare-and-swap of stores.

`pyarrow.fs` has none, so these few requests go through `obstore`.
"""

from __future__ import annotations

import importlib.util
import os
import re
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from magenet_batch.errors import StorageError

Version = Any
"""What a store says of one state of an object; nothing else may be read from it."""
TIMEOUT_S = 30
"""Longest time for one request, seconds."""
_OWN_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)  # fmt: skip
"""Variables that tell `obstore` all that it needs."""


class ConditionsUnsupportedError(StorageError):
    """The store, or this machine's way to it, has no conditional puts."""


class Versioned(NamedTuple):
    """An object as it was at one moment.

    Attributes:
        data: its content.
        version: names this state of the object.
        changed: time of the last change by the store's clock, seconds since 1970.
    """

    data: bytes
    version: Version
    changed: float


class ConditionalPuts(Protocol):
    """Conditional puts into one bucket."""

    def read(self, key: str) -> Versioned:
        """Read an object.

        Raises:
            FileNotFoundError: there is none.
            OSError: the store refuses or does not respond.
        """
        ...

    def put(self, key: str, data: bytes, *, over: Version | None) -> Version | None:
        """Put an object if it is still in a known state.

        Args:
            key: name of the object.
            data: its content.
            over: the state that is replaced; None if there must be no such object.

        Returns:
            The new state; None if the object was in another state, and stays as it is. A request
            that had to be repeated can return None although its first attempt succeeded.

        Raises:
            ConditionsUnsupportedError: the store has no conditional puts.
            OSError: the store refuses or does not respond; the object may have been put.
        """
        ...


@lru_cache(maxsize=4)
def conditional_puts(scheme: str, bucket: str, *, endpoint: str | None) -> ConditionalPuts:
    """Connect to a bucket; once per process.

    Args:
        scheme: `s3` or `gs`.
        bucket: name of the bucket.
        endpoint: address of a store that speaks S3; None for Amazon's.

    Raises:
        ConditionsUnsupportedError: the credentials cannot be used in this way.
    """
    from obstore.exceptions import BaseError
    from obstore.store import GCSStore, S3Store

    how: dict[str, Any] = {
        "retry_config": {"max_retries": 2, "retry_timeout": timedelta(seconds=TIMEOUT_S)},
        "client_options": {"timeout": f"{TIMEOUT_S}s", "allow_http": True},
    }
    try:
        if scheme == "gs":
            return _Bucket(GCSStore(bucket, **how))
        if endpoint:
            how["endpoint"] = endpoint
        return _Bucket(S3Store(bucket, credential_provider=_credentials(), **how))
    except BaseError as error:
        raise _unsupported(_what(error)) from error


def _credentials() -> Any:
    """A source of credentials from profiles, if these are used; None where `obstore` has its own.

    Raises:
        ConditionsUnsupportedError: there are profiles, and nothing that reads them.
    """
    places = (("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config"))
    files = (os.environ.get(name) or Path.home() / ".aws" / last for name, last in places)
    if any(os.environ.get(name) for name in _OWN_CREDENTIALS) or not any(
        os.environ.get("AWS_PROFILE") or Path(file).is_file() for file in files
    ):
        return None
    if importlib.util.find_spec("boto3") is None:
        raise _unsupported("credentials from a profile need the package boto3")
    from obstore.auth.boto3 import Boto3CredentialProvider

    return Boto3CredentialProvider()


class _Bucket:
    """Conditional puts through `obstore`."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def read(self, key: str) -> Versioned:
        import obstore
        from obstore.exceptions import BaseError

        try:
            found = obstore.get(self._store, key)
            data, meta = bytes(found.bytes()), found.meta
        except BaseError as error:
            raise OSError(_what(error)) from error
        version = _version(meta["e_tag"], meta["version"])
        return Versioned(data, version, meta["last_modified"].timestamp())

    def put(self, key: str, data: bytes, *, over: Version | None) -> Version | None:
        import obstore
        from obstore import exceptions

        mode: Any = "create" if over is None else over
        try:
            made = obstore.put(self._store, key, data, mode=mode, use_multipart=False)
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError, FileNotFoundError):
            return None
        except exceptions.NotSupportedError as error:
            raise _unsupported(_what(error)) from error
        except exceptions.BaseError as error:
            if "501 Not Implemented" in str(error):
                raise _unsupported("the store has not implemented them") from error
            raise OSError(_what(error)) from error
        return _version(made["e_tag"], made["version"])


def _version(tag: str | None, version: str | None) -> Version:
    return {k: v for k, v in (("e_tag", tag), ("version", version)) if v is not None}


def _what(error: BaseException) -> str:
    """What a store's answer says is wrong: its code, if there is one."""
    code = re.search(r"<Code>(\w+)</Code>", str(error))
    return code[1] if code else str(error).strip().splitlines()[0]


def _unsupported(why: str) -> ConditionsUnsupportedError:
    return ConditionsUnsupportedError(f"Conditional puts cannot be used: {why}.", why=why)
