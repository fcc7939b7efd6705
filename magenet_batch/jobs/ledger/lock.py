"""Allow one job at a time on an output folder; a crashed job does not block the next."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from magenet_batch.errors import JobError
from magenet_batch.jobs.ledger.holder import (
    HEARTBEAT_S,
    STALE_AFTER_S,
    THIS_HOST,
    Host,
    read_holder,
    refusal,
)
from magenet_batch.jobs.ledger.lease import Lease
from magenet_batch.jobs.ledger.log import NO_LINK
from magenet_batch.jobs.ledger.store_lock import store_holders, store_lock
from magenet_batch.records.layout import LOCK_GLOB, lock_name, probe_name
from magenet_batch.records.part import Part
from magenet_batch.storage import Location, StorePath, names_like, refused

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def job_lock(out: Location, *, part: Part | None = None, host: Host = THIS_HOST) -> Iterator[Lease]:
    """Hold the lock of an output folder, or of a part of its job.

    Parts of the same division can run at the same time; anything else on the same folder is
    refused.

    On one host, the operating system's file lock decides; it ends with its process. Where file
    locks are missing, the process id and its start time decide. Between hosts, where file locks may
    not work, the holder touches the file every few seconds: there, two jobs that start at the same
    moment may both get in. In an object store: `store_lock`.

    Args:
        out: the output folder; must exist.
        part: part of the job; None for the whole job.
        host: the machine.

    Yields:
        The lease of the lock: what changes rows checks it.

    Raises:
        JobError: another job is running in this folder.
        StorageError: the lock cannot be written.
    """
    if isinstance(out, StorePath):
        with store_lock(out, part=part, host=host) as lease:
            yield lease
        return
    path = out / lock_name(part)
    began = host.clock()
    try:
        handle, content = _acquire(path, host)
    except OSError as error:
        raise refused(error, path, root=out) from error
    renew = partial(_renew, path, handle, content)
    lease = Lease(out, how="file", renew=renew, began=began, host=host, revives=True)
    try:
        _refuse_others(path, part, host)
        with host.repeating(lease.renew, every=HEARTBEAT_S):
            yield lease
    finally:
        lease.end()
        _release(path, handle, content)


def living_holders(out: Location, *, host: Host = THIS_HOST) -> list[dict[str, Any]]:
    """Processes that work on an output folder now: id, host and start, one entry per lock."""
    if isinstance(out, StorePath):
        return store_holders(out, host=host)
    held = (_held(out / name, host, clock=host.wall) for name in names_like(out, LOCK_GLOB))
    return [holder for holder in held if holder]


def _refuse_others(mine: Path, part: Part | None, host: Host) -> None:
    """Refuse if a job is running here that is not another part of the same division."""
    for name in names_like(mine.parent, LOCK_GLOB):
        path = mine.parent / name
        sibling = part is not None and path.name.endswith(f"-of-{part.of}.lock")
        if path == mine or sibling:
            continue
        holder = _held(path, host, clock=lambda: mine.stat().st_mtime)
        if holder:
            raise JobError(refusal(path.parent, holder))


def _held(path: Path, host: Host, *, clock: Callable[[], float]) -> dict[str, Any]:
    """The living holder of a lock; empty if there is none."""
    try:
        handle = os.open(path, os.O_RDWR | NO_LINK)
    except OSError:
        return {}
    try:
        holder = read_holder(_read(handle))
        if not _take(handle):
            return holder or {"pid": "?"}
        return holder if _lives(holder, path, host, clock=clock) else {}
    finally:
        os.close(handle)  # this also releases the lock that was only tried


def _acquire(path: Path, host: Host) -> tuple[int, bytes]:
    """The open lock file, and what was written to it."""
    clock = partial(_clock_of, path.with_name(probe_name(host.token())))
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666)
        try:
            holder = read_holder(_read(handle))
            if not _take(handle) or _lives(holder, path, host, clock=clock):
                raise JobError(refusal(path.parent, holder))
            # The last holder may have removed the file between open and lock: then the locked file
            # has no name, and another process could lock a new one.
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return handle, _write(handle, host)
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _release(path: Path, handle: int, content: bytes) -> None:
    """Remove the file and the lock on it; a file that stays names a process that has ended."""
    with contextlib.suppress(OSError):
        if _is_ours(path, handle, content):
            path.unlink(missing_ok=True)
    os.close(handle)


def _renew(path: Path, handle: int, content: bytes) -> bool:
    """Touch the lock file; False if it is another job's by now."""
    try:
        if not _is_ours(path, handle, content):
            return False
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _is_ours(path: Path, handle: int, content: bytes) -> bool:
    """Whether a lock file is the one that was taken, and names its holder."""
    return os.path.samestat(os.fstat(handle), path.stat()) and _read(handle) == content


def _clock_of(probe: Path) -> float:
    """The time on the clock of a folder's file system, which can be another machine's."""
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


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


def _read(handle: int) -> bytes:
    os.lseek(handle, 0, os.SEEK_SET)
    return os.read(handle, 4096)


def _write(handle: int, host: Host) -> bytes:
    content = json.dumps({**host.process(), "token": host.token()}).encode()
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, content)
    os.fsync(handle)
    return content


def _lives(holder: dict[str, Any], path: Path, host: Host, *, clock: Callable[[], float]) -> bool:
    """Whether the process named in a lock file is alive, although the lock could be taken."""
    if not holder:
        return False
    if holder.get("host") != host.name:
        return clock() - path.stat().st_mtime < STALE_AFTER_S
    if fcntl is not None and holder.get("pid") == os.getpid():
        return False
    return host.lives(holder)
