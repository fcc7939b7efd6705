"""Memory of this process, for benchmarks."""

from __future__ import annotations

from pathlib import Path


def peak_mib() -> float:
    """Peak memory of this process in MiB; Linux only.

    Not `getrusage`: its peak is inherited from the process that started this one.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
