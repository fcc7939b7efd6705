"""Memory of this process, for benchmarks."""

from __future__ import annotations

from pathlib import Path


def peak_mib() -> float:
    """The most memory that this process ever held, in MiB; Linux.

    Not `getrusage`: its peak is handed down from the process that started this one.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
