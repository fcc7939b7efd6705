"""File contents: read sources, write outputs, deliver originals."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from magenet_batch.dicomweb import DicomwebError, connect_server, is_dicomweb, parse_address
from magenet_batch.errors import ImageError, MagenetError, StorageError
from magenet_batch.imaging.read import check_length, file_content
from magenet_batch.jobs.plan.plan import Task
from magenet_batch.jobs.work.patience import read_patiently
from magenet_batch.settings import OriginalAction
from magenet_batch.storage import (
    NO_FAULT_OF_A_FILE,
    Location,
    StorePath,
    brief,
    is_store,
    put_whole,
    refused,
    write_atomic,
)


def read_source(task: Task, *, max_pixels: int) -> bytes:
    """Read an image's file, an object in a store, or an instance on a DICOMweb server.

    Args:
        task: the image.
        max_pixels: maximum number of pixels; far larger files are not loaded.

    Raises:
        ImageError: `unreadable`; or the file cannot be an image, or is too large.
        StorageError: no file can be read here: too many are open, or the mount is gone or hangs.
        DicomwebError: the server refuses every request, or does not respond.
    """
    if is_dicomweb(task.source):
        return read_instance(task.source, max_pixels=max_pixels)
    if is_store(task.source):
        return read_object(task.source, max_pixels=max_pixels)
    return read_patiently(task.path, partial(_read_file, task.path, max_pixels=max_pixels))


def _read_file(path: Path, *, max_pixels: int) -> bytes:
    """Read a file; what is no fault of this one ends the job, so that others are not blamed."""
    _refuse_special(path)
    try:
        return file_content(path, max_pixels=max_pixels)
    except ImageError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in NO_FAULT_OF_A_FILE:
            raise refused(cause, path, what="read") from error
        raise


def write_output(out: Location, name: str, data: bytes, *, flush: bool) -> None:
    """Write a file below the output folder, atomically.

    Args:
        out: the output folder.
        name: name of the file, relative to the folder.
        data: its content.
        flush: whether its name lasts at once; False where the rows that name it are written later,
            which make it last (`records.sidecar.write_first_rows`, `Ledger.merge`).

    Raises:
        StorageError: the folder cannot be written to.
        ImageError: `unwritable`: this one file cannot be written.
    """
    with _of_one_image(f"{name} cannot be written"):
        write_atomic(out / name, data, root=out, flush=flush)


def keep_original(
    task: Task, data: bytes, *, out: Location, name: str, how: OriginalAction, flush: bool
) -> str | None:
    """Put an unchanged original into the output tree.

    Args:
        task: the image.
        data: its content.
        out: the output folder.
        name: name of the output, relative to the folder.
        how: `copy` writes the same bytes, `link` a symbolic link to the original, `omit` nothing.
        flush: as for `write_output`.

    Returns:
        `name`, or None if nothing was written.

    Raises:
        StorageError: the folder cannot be written to.
        ImageError: `unwritable`.
    """
    if how == "omit":
        return None
    if how == "copy":
        write_output(out, name, data, flush=flush)
        return name
    if is_dicomweb(task.source) or is_store(task.source):
        raise ImageError(
            "unwritable", "the original is on a server and cannot be linked to: use --kept copy"
        )
    target = out / name
    if isinstance(target, StorePath):
        raise ImageError("unwritable", "an object store holds no links: use --kept copy")
    with _of_one_image(f"{name} cannot be linked"):
        put_whole(target, lambda new: new.symlink_to(task.path.resolve()), root=out, flush=flush)
    return name


@contextmanager
def _of_one_image(what: str) -> Iterator[None]:
    """Turn a problem with a single file into an error of its image.

    A full or read-only disk still ends the job, so that the remaining images are not lost.
    """
    try:
        yield
    except StorageError as error:
        if error.persistent:
            raise
        raise ImageError("unwritable", f"{what}: {error.why}") from error


def _refuse_special(path: Path) -> None:
    """Refuse anything but a plain file: reading a pipe would wait for ever."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ImageError("unreadable", f"cannot be opened: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
        raise ImageError("unreadable", f"is {kind}, not a file")


def read_object(uri: str, *, max_pixels: int) -> bytes:
    """Read the content of an object.

    Raises:
        ImageError: `unreadable`, if it is gone or the store does not respond; `too_large`.
    """
    try:
        return StorePath(uri).read_bytes(check=partial(check_length, max_pixels=max_pixels))
    except ImageError:
        raise
    except (OSError, MagenetError) as error:
        raise ImageError(
            "unreadable", f"it cannot be downloaded: {brief(error.__cause__ or error)}"
        ) from error


def read_instance(uri: str, *, max_pixels: int) -> bytes:
    """Retrieve an instance from a DICOMweb server.

    Raises:
        ImageError: `unreadable`, if the server does not deliver this one; `too_large`.
        DicomwebError: the server refuses every request, or does not respond: no image's fault, so
            the job ends, and the same command resumes it.
    """
    address = parse_address(uri)
    try:
        return connect_server(address.base).fetch(
            address.instance, check=partial(check_length, max_pixels=max_pixels)
        )
    except DicomwebError as error:
        if error.persistent:
            raise
        raise ImageError("unreadable", f"it cannot be downloaded: {error.why}") from error
