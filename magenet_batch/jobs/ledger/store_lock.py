"""Allow one job at a time on a location in an object store.

Where the store has conditional puts, a lock is one object with a fixed name. It is created only if
there is none, taken over only if it is still the stale object that was read, and renewed only if it
is still the holder's own: of any number of jobs, exactly one succeeds at each step. It is never
removed, because a removal cannot be conditional; a released lock says so.

Elsewhere, every job puts a lock object of its own and then lists all of them: a listing after a put
shows that put, so of two jobs that start at once, at least one sees the other. Two jobs that start
at the same moment may both be refused, and a put that arrives a minute after it was requested, or a
store whose listings lag behind its puts, may let both in.

Both kinds see each other in the listing that follows either. A process of the same host is checked
by its id, so host names must be unique.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from magenet_batch.errors import JobError, MagenetError
from magenet_batch.jobs.ledger.holder import (
    HEARTBEAT_S,
    STALE_AFTER_S,
    THIS_HOST,
    Host,
    read_holder,
    refusal,
)
from magenet_batch.jobs.ledger.lease import Lease
from magenet_batch.records.layout import LOCK_GLOB, lock_name
from magenet_batch.records.part import Part
from magenet_batch.storage import ConditionsUnsupportedError, StorePath, Version

RELEASED = json.dumps({"released": True}).encode()
_TAKE_TRIES = 10


class Found(NamedTuple):
    """A lock that a listing shows.

    Attributes:
        path: its object.
        holder: what it says of its holder.
        lives: whether the holder is alive.
    """

    path: StorePath
    holder: dict[str, Any]
    lives: bool


@contextlib.contextmanager
def store_lock(out: StorePath, *, part: Part | None, host: Host = THIS_HOST) -> Iterator[Lease]:
    """Hold the lock of a location, or of a part of its job; parts of one division can coexist.

    The holder renews its lock every few seconds. A lock that was not renewed for `STALE_AFTER_S` by
    the store's own clock is dead, and so is one of a process of this host that no longer exists.

    Args:
        out: the location.
        part: part of the job; None for the whole job.
        host: the machine.

    Yields:
        The lease of the lock.

    Raises:
        JobError: another job is running there.
    """
    began = host.clock()
    lock, why = _taken(out, part, host)
    how = "conditional puts" if why is None else f"listing, because {why}"
    lease = Lease(out, how=how, renew=lock.renew, began=began, host=host, revives=why is None)
    try:
        with host.repeating(lease.renew, every=HEARTBEAT_S):
            _refuse_others(out, lock.path, part, host)
            yield lease
    finally:
        lease.end()
        with contextlib.suppress(MagenetError):  # it expires by itself
            lock.release()


def store_holders(out: StorePath, *, host: Host = THIS_HOST) -> list[dict[str, Any]]:
    """Processes that work on a location now: id, host and start."""
    return [found.holder for found in _locks(out, clock=host.wall, host=host) if found.lives]


class _NamedLock:
    """One object for all jobs, by conditional puts."""

    def __init__(self, out: StorePath, part: Part | None, host: Host) -> None:
        self.path = out / lock_name(part)
        self._out, self._part, self._host = out, part, host
        self._holder = {**host.process(), "token": host.token(), "renewed": 0}
        self._version: Version = None

    def take(self) -> None:
        """Create the object, or replace that of a holder that is dead.

        Raises:
            JobError: the holder is alive.
        """
        for _ in range(_TAKE_TRIES):
            self._version = self.path.put_if(self._content(), over=self._dead())
            if self._version is not None:
                return
        raise JobError(refusal(self._out, {}))

    def _dead(self) -> Version | None:
        """The object of a holder that is dead; None if there is no object."""
        try:
            data, version, changed = self.path.read_version()
        except FileNotFoundError:
            return None
        holder = read_holder(data)
        # The answer to an earlier try may have been lost: then it is this holder's own.
        mine = holder.get("token") == self._holder["token"]
        if not mine and _lives(holder, changed=changed, clock=self._clock, host=self._host):
            raise JobError(refusal(self._out, holder))
        return version

    def is_exact(self) -> bool:
        """Try whether the store heeds conditions: some ignore them. Only after `take`."""
        before = self._version
        if self.path.put_if(self._content(), over=None) is not None or not self.renew():
            return False
        return self.path.put_if(self._content(), over=before) is None

    def renew(self) -> bool:
        """Put the object again; False if it is another's by now."""
        new = self.path.put_if(self._content(), over=self._version)
        if new is None:  # the answer to an earlier renewal may have been lost
            try:
                data, version, _ = self.path.read_version()
            except FileNotFoundError:
                return False
            if read_holder(data).get("token") != self._holder["token"]:
                return False
            new = self.path.put_if(self._content(), over=version)
        if new is None:
            return False
        self._version = new
        return True

    def release(self) -> None:
        """Mark the object as released, if it is still this holder's."""
        self.path.put_if(RELEASED, over=self._version)

    def _clock(self) -> float:
        return _clock_of(self.path.with_name(_own_name(self._part, self._host)))

    def _content(self) -> bytes:
        # Stores name a state of an object by a hash of its content: no two may be the same.
        self._holder["renewed"] += 1
        return json.dumps(self._holder).encode()


class _OwnLock:
    """An object for each job, whose listing decides."""

    def __init__(self, out: StorePath, part: Part | None, host: Host) -> None:
        self.path = out / _own_name(part, host)
        self._content = json.dumps(host.process()).encode()

    def take(self) -> None:
        """Put the object."""
        self.path.write_bytes(self._content)

    def renew(self) -> bool:
        """Put the object again; False if another job has removed it."""
        if not self.path.exists():
            return False
        self.path.write_bytes(self._content)
        return True

    def release(self) -> None:
        """Remove the object."""
        self.path.unlink(missing_ok=True)


def _taken(
    out: StorePath, part: Part | None, host: Host
) -> tuple[_NamedLock | _OwnLock, str | None]:
    """Take a lock of the best kind that the store has.

    Returns:
        The lock, and why conditional puts cannot be used; None if they can.

    Raises:
        JobError: another job is running there.
    """
    named = _NamedLock(out, part, host)
    why = "the store ignores the conditions of puts"
    try:
        named.take()
        if named.is_exact():
            return named, None
        named.path.unlink(missing_ok=True)
    except ConditionsUnsupportedError as error:
        why = error.why
    own = _OwnLock(out, part, host)
    own.take()
    return own, why


def _clock_of(probe: StorePath) -> float:
    """The time on the store's clock; one long ago if another job has removed the probe."""
    probe.write_bytes(RELEASED)
    try:
        now = probe.stat().st_mtime
    except FileNotFoundError:
        return 0.0
    with contextlib.suppress(MagenetError):
        probe.unlink(missing_ok=True)
    return now


def _refuse_others(out: StorePath, mine: StorePath, part: Part | None, host: Host) -> None:
    """Refuse if another job than a sibling part is running here; end dead locks.

    A dead lock is ended before this job continues, because its holder may only have been slow.
    """
    now = mine.stat().st_mtime
    for lock, holder, lives in _locks(out, clock=lambda: now, host=host):
        if lock == mine:
            continue
        if holder.get("released"):
            if _is_own(lock.name):  # of a process that died while it looked at the clock
                lock.unlink(missing_ok=True)
            continue
        if not lives:
            lives = not _end(lock, holder)
        if lives and not _is_sibling(lock.name, part):
            raise JobError(refusal(out, holder))


def _end(lock: StorePath, holder: dict[str, Any]) -> bool:
    """End a dead lock; False if it was renewed in the meantime."""
    try:
        if "token" not in holder:
            lock.unlink(missing_ok=True)
            return True
        data, version, _ = lock.read_version()
        return read_holder(data) == holder and lock.put_if(RELEASED, over=version) is not None
    except (ConditionsUnsupportedError, FileNotFoundError):
        lock.unlink(missing_ok=True)
        return True
    except MagenetError:  # a bucket that does not permit deletion
        return "token" not in holder


def _locks(out: StorePath, *, clock: Callable[[], float], host: Host) -> Iterator[Found]:
    """Yield all lock objects."""
    for name, facts in sorted(out.stats().items()):
        if not fnmatchcase(name, LOCK_GLOB):
            continue
        try:
            holder = read_holder((out / name).read_bytes())
        except FileNotFoundError:  # released just now
            continue
        yield Found(
            out / name, holder, _lives(holder, changed=facts.st_mtime, clock=clock, host=host)
        )


def _lives(
    holder: dict[str, Any], *, changed: float, clock: Callable[[], float], host: Host
) -> bool:
    """Whether the holder of a lock is alive; times by the store's clock."""
    if holder.get("released"):
        return False
    if holder.get("host") == host.name:
        return host.lives(holder)
    return clock() - changed < STALE_AFTER_S


def _stem(part: Part | None) -> str:
    return f"{lock_name(part).removesuffix('.lock')}."


def _own_name(part: Part | None, host: Host) -> str:
    """Name of a lock of one job alone."""
    return f"{_stem(part)}{host.token()}.lock"


def _is_own(name: str) -> bool:
    return name.count(".") > 2


def _is_sibling(name: str, part: Part | None) -> bool:
    """Whether a lock belongs to another part of the same division."""
    return part is not None and f"-of-{part.of}." in name and not name.startswith(_stem(part))
