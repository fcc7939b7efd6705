"""Allow one job at a time on a location in an object store.

Stores have no locks, but a listing after a put shows that put. So every job puts a lock object of
its own and then lists all of them: of two jobs that start at once, at least one sees the other. A
job that sees another living job removes its own lock and is refused.

Limits: two jobs that start at the same moment may both be refused. A store whose listings lag
behind its puts (those of S3, Google and MinIO do not) may let both in, and so may a holder that
could not reach the store for `STALE_AFTER_S`. Both then put the same objects, each of them whole:
time is lost, but no image. A process of the same host is checked by its id, so host names must be
unique.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from magenet_batch.errors import JobError, MagenetError
from magenet_batch.jobs.ledger.holder import (
    HEARTBEAT_S,
    STALE_AFTER_S,
    lives_here,
    read_holder,
    refusal,
    this_process,
)
from magenet_batch.records.layout import LOCK_GLOB, lock_name
from magenet_batch.records.part import Part
from magenet_batch.storage import StorePath


@contextlib.contextmanager
def store_lock(out: StorePath, *, part: Part | None) -> Iterator[None]:
    """Hold the lock of a location, or of a part of its job; parts of one division can coexist.

    The holder puts its object again every few seconds. An object that is older than `STALE_AFTER_S`
    by the store's own clock is dead, and so is one of a process of this host that no longer exists.

    Args:
        out: the location.
        part: part of the job; None for the whole job.

    Raises:
        JobError: another job is running there.
    """
    mine = out / f"{_stem(part)}{uuid.uuid4().hex}.lock"
    content = json.dumps(this_process()).encode()
    mine.write_bytes(content)
    stop = threading.Event()
    thread = threading.Thread(target=_beat, args=(mine, content, stop), daemon=True)
    thread.start()
    try:
        _refuse_others(out, mine, part)
        yield
    finally:
        stop.set()
        thread.join()
        with contextlib.suppress(MagenetError):  # it expires by itself
            mine.unlink(missing_ok=True)


def store_holders(out: StorePath) -> list[dict[str, Any]]:
    """Processes that work on a location now: id, host and start."""
    return [holder for _, holder, lives in _locks(out, clock=time.time()) if lives]


def _refuse_others(out: StorePath, mine: StorePath, part: Part | None) -> None:
    """Refuse if another job than a sibling part is running here; remove dead locks."""
    for lock, holder, lives in _locks(out, clock=mine.stat().st_mtime):
        if not lives:
            with contextlib.suppress(MagenetError):  # a bucket that does not permit deletion
                lock.unlink(missing_ok=True)
        elif lock != mine and not _is_sibling(lock.name, part):
            raise JobError(refusal(out, holder))


def _locks(out: StorePath, *, clock: float) -> Iterator[tuple[StorePath, dict[str, Any], bool]]:
    """Yield all lock objects with their holders, and whether these are alive."""
    for name, facts in sorted(out.stats().items()):
        if not fnmatchcase(name, LOCK_GLOB):
            continue
        try:
            holder = read_holder((out / name).read_bytes())
        except FileNotFoundError:  # released just now
            continue
        if holder.get("host") == socket.gethostname():
            yield out / name, holder, lives_here(holder)
        else:
            yield out / name, holder, clock - facts.st_mtime < STALE_AFTER_S


def _stem(part: Part | None) -> str:
    return f"{lock_name(part).removesuffix('.lock')}."


def _is_sibling(name: str, part: Part | None) -> bool:
    """Whether a lock belongs to another part of the same division."""
    return part is not None and f"-of-{part.of}." in name and not name.startswith(_stem(part))


def _beat(mine: StorePath, content: bytes, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_S):
        with contextlib.suppress(MagenetError):
            mine.write_bytes(content)
