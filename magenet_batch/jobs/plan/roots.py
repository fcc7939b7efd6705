"""Turn the paths and URIs that manifests hold into safe relative names and sources to open."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from magenet_batch.errors import UsageError
from magenet_batch.storage import StorePath, expanded, is_store, refuse_other_schemes

_FILE = "file:"


class Located(NamedTuple):
    """An image of a manifest: its relative name with `/`, and what to open."""

    key: str
    source: str


class Root(Protocol):
    """What a manifest's paths are relative to."""

    def locate(self, value: str, *, where: str) -> Located:
        """Locate one image.

        Args:
            value: a path or URI as the manifest has it.
            where: the place in the manifest, for errors.

        Raises:
            UsageError: it is outside the root, or a URI of an unsupported kind.
        """
        ...


class LocalRoot:
    """A folder on this machine.

    Args:
        folder: the folder; links are followed.
    """

    def __init__(self, folder: Path) -> None:
        self._given = folder.absolute().as_posix()
        self._resolved = folder.resolve().as_posix()

    def locate(self, value: str, *, where: str) -> Located:
        """See `Root`."""
        if is_store(value):
            return _in_store(value, where)
        path = _local(value, where)
        if posixpath.isabs(path):
            path = self._relative(posixpath.normpath(path))
        path = posixpath.normpath(path)
        if _leaves(path):
            raise UsageError(
                f"{where}: '{value}' is not inside {self._given}. "
                "Give the folder that holds all images with --root."
            )
        return Located(path, f"{self._resolved.rstrip('/')}/{path}")

    def _relative(self, path: str) -> str:
        """An absolute path relative to the root, whichever links either of them goes through."""
        for root in (self._given, self._resolved):
            if path == root or path.startswith(f"{root.rstrip('/')}/"):
                return posixpath.relpath(path, root)
        folder, name = posixpath.split(path)
        return posixpath.relpath(
            posixpath.join(Path(folder).resolve().as_posix(), name), self._resolved
        )


class StoreRoot:
    """A location in an object store.

    Args:
        uri: URI such as `s3://bucket/folder`.
    """

    def __init__(self, uri: str) -> None:
        self._uri = str(StorePath(uri))

    def locate(self, value: str, *, where: str) -> Located:
        """See `Root`."""
        if value.startswith(f"{self._uri}/"):
            value = value[len(self._uri) + 1 :]
        elif is_store(value):
            return _in_store(value, where)
        path = posixpath.normpath(_local(value, where))
        if posixpath.isabs(path):
            raise UsageError(
                f"{where}: '{value}' is a path on this machine, but paths are relative to "
                f"{self._uri}. Give the folder that holds all images with --root."
            )
        if _leaves(path):
            raise UsageError(
                f"{where}: '{value}' is not inside {self._uri}. "
                "Give the location that holds all images with --root."
            )
        return Located(path, f"{self._uri}/{path}")


def root_of(given: str) -> Root:
    """The root that a user gave as a path or URI.

    Raises:
        UsageError: it is a URI of an unsupported kind.
    """
    refuse_other_schemes(given)
    return StoreRoot(given) if is_store(given) else LocalRoot(expanded(given))


def absolute(paths: Sequence[str], *, folder: str | None) -> list[str]:
    """Paths of a list, made absolute.

    Args:
        paths: paths and URIs.
        folder: folder or location in a store where relative paths start; None for the working
            directory.

    Raises:
        UsageError: a URI is of an unsupported kind, or there is no working directory.
    """
    local = [p if is_store(p) or not p.strip() else _local(p, "the list") for p in paths]
    if all(posixpath.isabs(p) or is_store(p) for p in local):
        return local
    here = _here() if folder is None else folder
    return [
        p if is_store(p) or not p.strip() else posixpath.join(here, posixpath.normpath(p))
        for p in local
    ]


def common_folder(paths: Iterable[str]) -> Path:
    """The deepest folder that contains some images, whose paths are absolute."""
    local = (p for p in paths if p.strip() and not is_store(p))
    folders = {posixpath.dirname(posixpath.normpath(p)) for p in local}
    return Path(posixpath.commonpath(folders) if folders else "/")


def _here() -> str:
    try:
        return Path.cwd().as_posix()
    except FileNotFoundError as error:
        raise UsageError(
            "The working directory no longer exists. Change to another, or give absolute paths."
        ) from error


def _local(value: str, where: str) -> str:
    """A path on this machine, with `/`; `file:` URIs become paths."""
    if value.lower().startswith(_FILE):
        uri = urlsplit(value)
        if uri.netloc not in ("", "localhost"):
            raise UsageError(f"{where}: '{value}' is on another machine, {uri.netloc}.")
        return unquote(uri.path)
    try:
        refuse_other_schemes(value)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    return value.replace("\\", "/") if "/" not in value else value


def _in_store(uri: str, where: str) -> Located:
    """An object outside the root, named by its bucket and its name."""
    try:
        name = str(StorePath(uri)).partition("://")[2]
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    if any(part in (".", "..") for part in name.split("/")):
        raise UsageError(f"{where}: '{uri}' has '.' or '..' as a component of its name.")
    return Located(name, uri)


def _leaves(path: str) -> bool:
    return path in (".", "..") or path.startswith("../")
