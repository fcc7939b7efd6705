"""Find what a machine has too little of, before it ends a job half-way."""

from __future__ import annotations

import os
from typing import NamedTuple

from magenet_batch.errors import UsageError
from magenet_batch.storage import Location, StorePath

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

OPEN_FILES_WANTED = 65_536
OPEN_FILES_MIN = 256
"""Ray with one worker stalls without a message at 64."""
ADDRESS_SPACE_MIN = 4_000_000_000
"""Bytes of addresses that a worker needs; torch maps far more than it uses, and fails at 3 GB."""


class Room(NamedTuple):
    """What is free in a file system.

    Attributes:
        bytes: free space.
        files: number of files that can still be made; None where there is no such number.
    """

    bytes: int
    files: int | None


def room_in(folder: str) -> Room | None:
    """What is free for this user where a folder is; None if the system does not say."""
    try:
        found = os.statvfs(folder)
    except (OSError, AttributeError):
        return None
    return Room(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


def shortages(out: Location, *, images: int, size: int) -> list[str]:
    """Sentences about what the file system of the output folder may lack for a job.

    Args:
        out: the output folder.
        images: number of images to do.
        size: their bytes; outputs take about as many.
    """
    room = None if isinstance(out, StorePath) else room_in(str(out))
    if room is None:
        return []
    said = []
    if room.bytes < size:
        said.append(
            f"{out} has {room.bytes / 1e9:.1f} GB free, and the outputs may take about "
            f"{size / 1e9:.1f} GB. If it becomes full, make room and re-run the same command."
        )
    if room.files is not None and room.files < images:
        said.append(
            f"{out} can hold {room.files} more files (inodes), and the job has {images} images. "
            "If none is left, remove files and re-run the same command."
        )
    return said


def limit_of(name: str) -> tuple[int | None, int | None]:
    """Soft and hard limit of this process, such as of `RLIMIT_NOFILE`; None where there is none."""
    if resource is None or not hasattr(resource, name):
        return None, None
    limits = resource.getrlimit(getattr(resource, name))
    soft, hard = (None if one == resource.RLIM_INFINITY else one for one in limits)
    return soft, hard


def refuse_tight_limits(*, network: bool, ray: bool) -> None:
    """Raise the number of open files as far as allowed, and refuse limits that stop every job.

    Args:
        network: whether workers on this machine load a network.
        ray: whether Ray is going to be started on this machine.

    Raises:
        UsageError: memory addresses or open files are limited too tightly.
    """
    addresses, _ = limit_of("RLIMIT_AS")
    if network and addresses is not None and addresses < ADDRESS_SPACE_MIN:
        raise UsageError(
            f"The address space of a process is limited to {addresses / 1e9:.1f} GB (ulimit -v), "
            f"and a worker needs {ADDRESS_SPACE_MIN / 1e9:.0f} GB. Remove the limit; a control "
            "group limits what is really used."
        )
    files = raise_open_files()
    if ray and files is not None and files < OPEN_FILES_MIN:
        raise UsageError(
            f"A process may open {files} files (ulimit -n), and Ray needs {OPEN_FILES_MIN}. "
            "Raise the limit, or run without Ray: --workers 0."
        )


def raise_open_files() -> int | None:
    """Raise the soft limit of open files towards the hard one; child processes inherit it.

    Returns:
        The limit now; None if there is none.
    """
    soft, hard = limit_of("RLIMIT_NOFILE")
    wanted = OPEN_FILES_WANTED if hard is None else min(OPEN_FILES_WANTED, hard)
    if resource is None or soft is None or soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, -1 if hard is None else hard))
    except (OSError, ValueError):  # a system with a lower limit of its own
        return soft
    return wanted
