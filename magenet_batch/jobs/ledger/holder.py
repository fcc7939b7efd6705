"""Who holds a lock: what is written into it, and whether that process still lives."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

import psutil

from magenet_batch.records.run_info import now
from magenet_batch.storage import Location

HEARTBEAT_S = 20.0
STALE_AFTER_S = 180.0
"""A lock of another host whose file was not touched for so long is taken as dead."""


def this_process() -> dict[str, Any]:
    """This process."""
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "process_started": psutil.Process().create_time(),
        "locked": now(),
    }


def read_holder(content: bytes) -> dict[str, Any]:
    """What a lock says of its holder; nothing where that is damaged or not there yet."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def lives_here(holder: dict[str, Any]) -> bool:
    """Whether the process that a lock of this host names still lives."""
    try:
        started = psutil.Process(int(holder["pid"])).create_time()
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False
    result: bool = abs(started - float(holder.get("process_started", 0))) < 1.0
    return result


def refusal(out: Location, holder: dict[str, Any]) -> str:
    """What a second job is told."""
    who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
    return (
        f"Another job works on {out}: {who}, since {holder.get('locked', '?')}. "
        "Wait for it, stop it, or give another output folder with -o. "
        f"If that host is gone, the lock ends by itself {STALE_AFTER_S / 60:.0f} minutes later."
    )
