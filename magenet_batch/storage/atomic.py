"""The one writer of everything that lasts: files are complete or absent."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from magenet_batch.errors import StorageError
from magenet_batch.storage.conditional import ConditionsUnsupportedError
from magenet_batch.storage.flush import flush_below, flush_folder, make_folder
from magenet_batch.storage.location import Location
from magenet_batch.storage.store import StorePath

if TYPE_CHECKING:
    import pyarrow as pa

PUT_TRIES = 3
_OUT_OF_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
NO_FAULT_OF_A_FILE = {
    errno.EMFILE: "Raise the limit of open files (ulimit -n)",
    errno.ENFILE: "Close other programs, which have too many files open",
    errno.ENOTCONN: "Check the mount", errno.ETIMEDOUT: "Check the mount",
    errno.EHOSTDOWN: "Check the mount", errno.EHOSTUNREACH: "Check the mount",
}  # fmt: skip
"""Errors that other files in the same place would have too, and what to do."""


def write_atomic(
    path: Location, data: bytes, *, root: Location | None = None, flush: bool = True
) -> None:
    """Write a file atomically and flush it to the disk, or put an object.

    Args:
        path: the file; an existing one is replaced in one step.
        data: content.
        root: location that the error names if nothing more can be written, such as the output
            folder of a job; None for the file's own folder.
        flush: whether its name lasts through a power cut from now on; False leaves that to
            `flush_names`, which costs less for many files. Its content is flushed in any case.

    Raises:
        StorageError: the file cannot be written; `persistent` if other files would fail too.
    """
    if isinstance(path, StorePath):
        path.write_bytes(data)
        return

    put_whole(path, partial(_write_flushed, data=data), root=root, flush=flush)


def write_new(path: Location, data: bytes, *, root: Location | None = None) -> None:
    """Write a file or an object that does not exist yet; an existing one stays as it is.

    Of several writers at the same moment the first one wins. Where a file system has no links, or
    a store no conditional puts, the last of them may.

    Args:
        path: the file.
        data: content.
        root: location that the error names if nothing more can be written.

    Raises:
        StorageError: the file cannot be written.
    """
    if not isinstance(path, StorePath):
        put_whole(path, partial(_write_flushed, data=data), root=root, place=_place_new)
        return
    if path.exists():
        return
    try:
        path.put_if(data, over=None)
    except ConditionsUnsupportedError:
        path.write_bytes(data)


def _write_flushed(file: Path, *, data: bytes) -> None:
    with file.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _place_new(temporary: Path, path: Path) -> None:
    """Give a file its final name, unless that name is taken."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:
        if not path.exists():  # a file system without links
            temporary.replace(path)
            return
    temporary.unlink(missing_ok=True)


def write_json(value: Any, path: Location) -> None:
    """Write JSON that people can read.

    Raises:
        StorageError: the file cannot be written.
    """
    write_atomic(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def write_parquet(table: pa.Table, path: Location) -> None:
    """Write a table as one Parquet file.

    Raises:
        StorageError: the file cannot be written.
    """
    write_atomic(path, parquet_bytes(table))


def parquet_bytes(table: pa.Table) -> bytes:
    """A table as the content of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _refuse_special(path: Path) -> None:
    """Refuse what is there and neither a file nor a folder: a file must not replace it.

    Raises:
        StorageError: it is a device, a pipe or a socket.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise StorageError(f"{path} is a device or a pipe, not a file. Give the name of a file.")


def put_whole(
    path: Path,
    make: Callable[[Path], None],
    *,
    root: Location | None = None,
    place: Callable[[Path, Path], None] | None = None,
    flush: bool = True,
) -> None:
    """Make a file under a temporary name in the same folder, then rename it.

    The folder is created if it is missing. A temporary file can be swept away by another job that
    takes over from this one or works on the same folder; it is then made again.

    Args:
        path: final path; an existing file is replaced in one step.
        make: makes the file at the path that it is given.
        root: location that the error names if nothing more can be written; None for the file's own
            folder.
        place: gives the file its final name; None replaces an existing file.
        flush: whether its name lasts through a power cut from now on.

    Raises:
        StorageError: the folder cannot be written to, or the path is a device or a pipe, which a
            file must not replace.
    """
    _refuse_special(path)
    for tries_left in reversed(range(PUT_TRIES)):
        temporary = path.parent / f".magenet-{uuid.uuid4().hex}.tmp"
        try:
            if flush:
                make_folder(path.parent)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
            make(temporary)
            if place is None:
                temporary.replace(path)
            else:
                place(temporary, path)
            if flush:
                flush_folder(path.parent)
            return
        except FileNotFoundError as error:
            if not tries_left:
                raise refused(error, path, root=root) from error
        except OSError as error:
            _remove(temporary)
            raise refused(error, path, root=root) from error
        except BaseException:
            _remove(temporary)
            raise


def flush_names(files: Iterable[Location], *, below: Location) -> None:
    """Make the names of files last that were written without `flush`, and those of their folders.

    Args:
        files: the files; in a store, names last from the start.
        below: a folder above all of them.

    Raises:
        StorageError: the disk refuses.
    """
    if isinstance(below, StorePath):
        return
    try:
        flush_below(below, (file for file in files if isinstance(file, Path)))
    except OSError as error:
        raise refused(error, below) from error


def remove_file(path: Location, *, root: Location | None = None) -> None:
    """Remove a file or an object for good; what is gone already is fine.

    Args:
        path: the file.
        root: location that the error names if nothing can be written there; None for its folder.

    Raises:
        StorageError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
        if isinstance(path, Path):
            flush_folder(path.parent)
    except OSError as error:
        raise refused(error, path, root=root, what="removed") from error


@contextlib.contextmanager
def draft_of(target: Location) -> Iterator[Path]:
    """A file on this machine to write to, which replaces the target when it is complete.

    Raises:
        StorageError: the target is a device or a pipe.
    """
    if isinstance(target, StorePath):
        with TemporaryDirectory(prefix="magenet-") as folder:
            draft = Path(folder, "draft")
            yield draft
            target.write_bytes(draft.read_bytes())
        return
    _refuse_special(target)
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(target)
        flush_folder(target.parent)
    finally:
        draft.unlink(missing_ok=True)


def refused(
    error: OSError, path: Location, *, root: Location | None = None, what: str = "written"
) -> StorageError:
    """Translate an operating system error about a file that cannot be written.

    Args:
        error: the operating system's error.
        path: the file.
        root: location to name if nothing more can be written; None for the file's own folder.
        what: what could not be done with the file.
    """
    why = error.strerror or str(error)
    advice = NO_FAULT_OF_A_FILE.get(error.errno or 0)
    if error.errno in _OUT_OF_ROOM:
        advice = "Make room"
        if error.errno == errno.ENOSPC and _no_more_files(path):
            why = f"{why}: its file system can hold no more files (inodes)"
    if advice is not None:
        return StorageError(
            f"{root or path.parent} cannot be {'written to' if what == 'written' else what}: "
            f"{why}. {advice}, then re-run the same command to resume.",
            why=why, persistent=True,
        )  # fmt: skip
    return StorageError(f"{path} cannot be {what}: {why}.", why=why)


def _no_more_files(path: Location) -> bool:
    """Whether a file system lacks inodes; room for content is no help then."""
    with contextlib.suppress(OSError, AttributeError):
        found = os.statvfs(next(p for p in Path(str(path)).parents if p.exists()))
        return bool(found.f_files) and not found.f_favail
    return False


def _remove(path: Path) -> None:
    """Remove a temporary file; ignore errors, which have the same cause as the failed write."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
