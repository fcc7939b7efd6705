"""The holder of a lock: what the lock records about it, and whether its process is alive."""

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
"""A lock of another host that was not touched for this long counts as dead."""


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
