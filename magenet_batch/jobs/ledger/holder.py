"""The holder of a lock: what the lock records about it, and whether its process is alive."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psutil

from magenet_batch.records.run_info import now
from magenet_batch.storage import Location

HEARTBEAT_S = 20.0
LEASE_S = 120.0
"""A holder that could not renew its lock for this long stops believing in it. The rest until
`STALE_AFTER_S` is for requests that are under way, and for clocks that run at different rates."""
STALE_AFTER_S = 180.0
"""A lock of another host that was not renewed for this long counts as dead."""


class Host:
    """What a lock asks of the machine that it runs on; a simulation has hosts of its own."""

    @property
    def name(self) -> str:
        """Name of the host; unique among those that share an output folder."""
        return socket.gethostname()

    def process(self) -> dict[str, Any]:
        """Describe this process for a lock."""
        return this_process()

    def lives(self, holder: dict[str, Any]) -> bool:
        """Whether the process named by a lock of this host is alive."""
        return lives_here(holder)

    def token(self) -> str:
        """A name that no other lock has."""
        return uuid.uuid4().hex

    def clock(self) -> float:
        """Seconds since some moment; where the system tells, also those in which it was asleep."""
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970, as far as this host knows."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Do nothing for a while."""
        time.sleep(seconds)

    @contextlib.contextmanager
    def repeating(self, action: Callable[[], None], *, every: float) -> Iterator[None]:
        """Call a function at an interval of seconds, in a thread, while the block runs."""
        stop = threading.Event()

        def repeat() -> None:
            while not stop.wait(every):
                action()

        thread = threading.Thread(target=repeat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


THIS_HOST = Host()


def this_process() -> dict[str, Any]:
    """Describe this process for a lock."""
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "process_started": psutil.Process().create_time(),
        "locked": now(),
    }


def read_holder(content: bytes) -> dict[str, Any]:
    """Parse a lock's description of its holder; empty if it is damaged or missing."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def lives_here(holder: dict[str, Any]) -> bool:
    """Whether the process named by a lock of this host is alive."""
    try:
        started = psutil.Process(int(holder["pid"])).create_time()
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False
    result: bool = abs(started - float(holder.get("process_started", 0))) < 1.0
    return result


def refusal(out: Location, holder: dict[str, Any]) -> str:
    """Error message for a second job on the same folder."""
    who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
    return (
        f"Another job is running on {out}: {who}, since {holder.get('locked', '?')}. "
        "Wait for it, stop it, or choose another output folder with -o. "
        f"If that host is gone, the lock expires {STALE_AFTER_S / 60:.0f} minutes later."
    )
