"""One job at a time on a place in an object store.

Stores have no locks, but a list that is taken after a put shows what was put. So every job puts a
lock object of its own and then looks at all there are: of two that begin at once, at least one sees
the other. Whoever sees another that lives takes its own away and is refused.

Its limits: two that begin at the same moment may both be refused. A store whose lists lag behind
its puts (S3, Google's and MinIO do not) may let both in, and so may a holder that could not reach
the store for `STALE_AFTER_S`. Both then put the same objects, each whole: time is lost, no image.
Processes tell whether another lives by its id where host names are equal, so these must differ.
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
    """Hold the lock of a place, or of a part of its job; parts of one division work side by side.

    The holder puts its object again every few seconds. One that was not put for `STALE_AFTER_S`
    by the store's own clock is dead, and so is one of a process of this host that has gone.

    Args:
        out: the place.
        part: of the job; None for all of it.

    Raises:
        JobError: another job lives there.
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
        with contextlib.suppress(MagenetError):  # then it ends by itself
            mine.unlink(missing_ok=True)


def store_holders(out: StorePath) -> list[dict[str, Any]]:
    """Who works on a place now: process, host and since when."""
    return [holder for _, holder, lives in _locks(out, clock=time.time()) if lives]


def _refuse_others(out: StorePath, mine: StorePath, part: Part | None) -> None:
    """Refuse when a job lives here that is no sibling; remove the locks of dead ones."""
    for lock, holder, lives in _locks(out, clock=mine.stat().st_mtime):
        if not lives:
            with contextlib.suppress(MagenetError):  # a bucket that lets nobody remove anything
                lock.unlink(missing_ok=True)
        elif lock != mine and not _is_sibling(lock.name, part):
            raise JobError(refusal(out, holder))


def _locks(out: StorePath, *, clock: float) -> Iterator[tuple[StorePath, dict[str, Any], bool]]:
    """The lock objects that are there, their holders, and whether these live."""
    for name, facts in sorted(out.stats().items()):
        if not fnmatchcase(name, LOCK_GLOB):
            continue
        try:
            holder = read_holder((out / name).read_bytes())
        except FileNotFoundError:  # given up just now
            continue
        if holder.get("host") == socket.gethostname():
            yield out / name, holder, lives_here(holder)
        else:
            yield out / name, holder, clock - facts.st_mtime < STALE_AFTER_S


def _stem(part: Part | None) -> str:
    return f"{lock_name(part).removesuffix('.lock')}."


def _is_sibling(name: str, part: Part | None) -> bool:
    """Whether a lock is of another part of the same division."""
    return part is not None and f"-of-{part.of}." in name and not name.startswith(_stem(part))


def _beat(mine: StorePath, content: bytes, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_S):
        with contextlib.suppress(MagenetError):
            mine.write_bytes(content)
