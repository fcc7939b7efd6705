"""Limits that containers and schedulers such as Slurm set on Linux: control groups, v1 and v2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

MEMBERSHIP = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")
_NO_LIMIT = 1 << 60
"""Version 1 states a number of this order where nothing is limited."""


def cpu_limit(*, membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> float | None:
    """CPU cores that the time quotas of this process and its parent groups allow; None if any.

    Args:
        membership: the file that names the groups of this process.
        mount: the folder where the groups are mounted.
    """
    found = []
    for group in _groups("cpu", membership, mount):
        numbers = _numbers(group / "cpu.max") or [
            *_numbers(group / "cpu.cfs_quota_us"), *_numbers(group / "cpu.cfs_period_us")
        ]  # fmt: skip
        if len(numbers) == 2 and min(numbers) > 0:
            found.append(numbers[0] / numbers[1])
    return min(found, default=None)


def memory_left(*, membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> int | None:
    """Bytes that this process may still take before a group's limit; None without limit.

    Cached files count as free: the kernel drops them first.

    Args:
        membership: the file that names the groups of this process.
        mount: the folder where the groups are mounted.
    """
    left = []
    for group in _groups("memory", membership, mount):
        for limit, used, cached in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            most, taken = _numbers(group / limit), _numbers(group / used)
            if most and most[0] < _NO_LIMIT:
                now = taken[0] - _statistic(group / "memory.stat", cached) if taken else 0
                left.append(max(0, most[0] - max(0, now)))
    return min(left, default=None)


def _groups(controller: str, membership: Path, mount: Path) -> Iterator[Path]:
    """The folder of the group of this process, and those of its parents."""
    try:
        lines = membership.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0" and not names:
            bases = [mount, mount / "unified"]
        elif controller in names.split(","):
            bases = [mount / names, mount / controller]
        else:
            continue
        base = next((b for b in bases if b.is_dir()), mount)
        parts = [part for part in path.split("/") if part not in ("", "..")]
        # In a container the path can be the host's, which does not exist here: its root does.
        for length in range(len(parts), -1, -1):
            yield base.joinpath(*parts[:length])


def _numbers(file: Path) -> list[int]:
    """Numbers in a file; empty if it is missing or says `max`."""
    try:
        return [int(word) for word in file.read_text().split()]
    except (OSError, ValueError):
        return []


def _statistic(file: Path, name: str) -> int:
    try:
        lines = (line.split() for line in file.read_text().splitlines())
        return next((int(line[1]) for line in lines if line[:1] == [name]), 0)
    except (OSError, ValueError, IndexError):
        return 0
