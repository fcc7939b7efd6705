"""Allow one job at a time on an output folder; a crashed job does not block the next."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from magenet_batch.errors import JobError
from magenet_batch.jobs.ledger.holder import (
    HEARTBEAT_S,
    STALE_AFTER_S,
    lives_here,
    read_holder,
    refusal,
    this_process,
)
from magenet_batch.jobs.ledger.store_lock import store_holders, store_lock
from magenet_batch.records.layout import LOCK_GLOB, lock_name
from magenet_batch.records.part import Part
from magenet_batch.storage import Location, StorePath, names_like, refused

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def job_lock(out: Location, *, part: Part | None = None) -> Iterator[None]:
    """Hold the lock of an output folder, or of a part of its job.

    Parts of the same division can run at the same time; anything else on the same folder is
    refused.

    On one host, the operating system's file lock decides; it ends with its process. Where file
    locks are missing, the process id and its start time decide. Between hosts, where file locks may
    not work, the holder touches the file every few seconds. In an object store: `store_lock`.

    Args:
        out: the output folder; must exist.
        part: part of the job; None for the whole job.

    Raises:
        JobError: another job is running in this folder.
        StorageError: the lock cannot be written.
    """
    if isinstance(out, StorePath):
        with store_lock(out, part=part):
            yield
        return
    path = out / lock_name(part)
    try:
        handle = _acquire(path)
    except OSError as error:
        raise refused(error, path, root=out) from error
    try:
        _refuse_others(path, part)
    except BaseException:
        _release(path, handle)
        raise
    stop = threading.Event()
    thread = threading.Thread(target=_beat, args=(path, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        _release(path, handle)


def living_holders(out: Location) -> list[dict[str, Any]]:
    """Processes that work on an output folder now: id, host and start, one entry per lock."""
    if isinstance(out, StorePath):
        return store_holders(out)
    return [holder for name in names_like(out, LOCK_GLOB) if (holder := _held(out / name))]


def _refuse_others(mine: Path, part: Part | None) -> None:
    """Refuse if a job is running here that is not another part of the same division."""
    for name in names_like(mine.parent, LOCK_GLOB):
        path = mine.parent / name
        sibling = part is not None and path.name.endswith(f"-of-{part.of}.lock")
        if path == mine or sibling:
            continue
        holder = _held(path)
        if holder:
            raise JobError(refusal(path.parent, holder))


def _held(path: Path) -> dict[str, Any]:
    """The living holder of a lock; empty if there is none."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return {}
    try:
        holder = _read(handle)
        if not _take(handle):
            return holder or {"pid": "?"}
        return holder if _lives(holder, path) else {}
    finally:
        os.close(handle)  # this also releases the lock that was only tried


def _acquire(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            holder = _read(handle)
            if not _take(handle) or _lives(holder, path):
                raise JobError(refusal(path.parent, holder))
            # The last holder may have removed the file between open and lock: then the locked file
            # has no name, and another process could lock a new one.
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                _write(handle)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _release(path: Path, handle: int) -> None:
    """Remove the file and the lock on it; a file that stays names a process that has ended."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    os.close(handle)


def _take(handle: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: the file's content decides
        return True
    return True


def _read(handle: int) -> dict[str, Any]:
    os.lseek(handle, 0, os.SEEK_SET)
    return read_holder(os.read(handle, 4096))


def _write(handle: int) -> None:
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, json.dumps(this_process()).encode())
    os.fsync(handle)


def _lives(holder: dict[str, Any], path: Path) -> bool:
    """Whether the process named in a lock file is alive, although the lock could be taken."""
    if not holder:
        return False
    if holder.get("host") != socket.gethostname():
        return time.time() - path.stat().st_mtime < STALE_AFTER_S
    if fcntl is not None and holder.get("pid") == os.getpid():
        return False
    return lives_here(holder)


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_S):
        with contextlib.suppress(OSError):
            os.utime(path)
