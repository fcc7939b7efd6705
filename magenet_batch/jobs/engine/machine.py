"""Decide how many workers, threads and GPUs a job gets on its machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal, NamedTuple

import psutil

from magenet_batch.errors import UsageError
from magenet_batch.jobs.engine.cgroups import cpu_limit, memory_left

WORKER_BYTES = 2_000_000_000
"""Memory budget of a CPU worker: the network, and three large images in flight."""
LOCAL_IMAGES = 200
"""Jobs up to this many images run without Ray unless workers, GPUs or an address are given. Ray
takes seconds to start, and on one machine its workers have no advantage over child processes."""

BATCH = 8
"""Images that the network of a worker on a GPU sees together, at most. Eight come at half the rate
of 64, at 300 images of 512 pixels a second, and no machine reads and measures as many."""
READERS = 8
"""Threads of a worker on a GPU that read, at most; as many write."""
IMAGE_BYTES = 500_000_000
"""Memory budget of a large image in flight, while it is read, enhanced, measured or written."""

ExecutorKind = Literal["inline", "local", "ray"]
"""Location of workers: inside this process, in child processes, or in Ray actors."""


class WorkerAllocation(NamedTuple):
    """Resources of a job.

    Attributes:
        workers: number of workers; 0 works inside this process.
        gpus: number of GPUs.
        gpu_share: share of a GPU that each worker takes, 0 on the CPU.
        threads: CPU cores of each worker. On the CPU, its network and OpenCV use as many threads.
            On GPUs, they use one, and half as many threads as there are cores read.
        executor: location of the workers.
        readers: threads of each worker that read and measure images; as many measure and write.
        batch: number of images that the network sees together, at most.
    """

    workers: int
    gpus: int
    gpu_share: float
    threads: int
    executor: ExecutorKind
    readers: int = 1
    batch: int = 1

    @property
    def ahead(self) -> int:
        """Number of images that a worker reads ahead of those in its network."""
        return 2 * self.readers if self.gpus else 1

    @property
    def in_flight(self) -> int:
        """Number of decoded images that a worker holds, at most."""
        return 2 * (self.ahead + self.batch) - 1

    @property
    def library_threads(self) -> int:
        """CPU threads of a worker's network and of OpenCV.

        A worker on a GPU has threads enough: theirs would only take the cores from each other.
        """
        return 1 if self.gpus else self.threads

    @property
    def device(self) -> str:
        """The device as a worker sees it: Ray shows it only its own GPU."""
        return "cuda:0" if self.gpus else "cpu"

    def text(self) -> str:
        """The allocation in a few words."""
        where = f"{self.gpus} GPU{'s' * (self.gpus > 1)}" if self.gpus else "CPU"
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        batches = f", batches of {self.batch}" if self.batch > 1 else ""
        if not self.workers:
            return f"in this process on {where}, {threads}{batches}"
        share = f", {self.gpu_share:g} GPU each" if self.gpus else ""
        kind = "local process" if self.executor == "local" else "Ray worker"
        plural = ("es" if self.executor == "local" else "s") * (self.workers > 1)
        return f"{self.workers} {kind}{plural} on {where}{share}, {threads} each{batches}"


def cpu_count() -> int:
    """Number of CPU cores that this process may use: its affinity, and the quota of its cgroup."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    limit = cpu_limit()
    return cores if limit is None else max(1, min(cores, int(limit)))


def cpu_text() -> str:
    """The cores that this process may use, and what limits them."""
    used, there, quota = cpu_count(), os.cpu_count() or 1, cpu_limit()
    if used == there:
        return str(used)
    group = quota is not None and int(quota) <= used
    why = f"a control group allows {quota:g}" if group else "CPU affinity, as schedulers set it"
    return f"{used} of {there}: {why}"


def memory_text() -> str:
    """The memory that this process can still take, and what limits it."""
    free, left = int(psutil.virtual_memory().available), memory_left()
    if left is None or left >= free:
        return f"{free / 1e9:.1f} GB"
    return f"{left / 1e9:.1f} GB, to the limit of a control group; the machine has {free / 1e9:.1f}"


def available_memory() -> int:
    """Bytes of memory that this process can still take: of the machine, and of its cgroup."""
    free, left = int(psutil.virtual_memory().available), memory_left()
    return free if left is None else min(free, left)


def gpu_count() -> int:
    """Number of GPUs that torch can use on this machine."""
    drivers = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
    if sys.platform == "linux" and not any(Path(d).exists() for d in drivers):
        return 0  # without a driver there is none: no need to wait seconds for torch
    import torch

    return torch.cuda.device_count()


def allocate_workers(
    *,
    workers: int | None,
    gpus: int | None,
    images: int,
    cpus: int,
    gpus_there: int,
    shards: int | None = None,
    may_be_local: bool = True,
    measured: int | None = None,
    memory: int | None = None,
) -> WorkerAllocation:
    """Divide a machine among workers.

    Args:
        workers: requested number; None chooses one per GPU, or as many as were measured to be
            fastest, or one per core; no more than memory allows.
        gpus: requested number; None takes all available.
        images: number of images left to do.
        cpus: number of cores available.
        gpus_there: number of GPUs available.
        shards: number of shards left to do; more workers would be idle. None: one per image.
        may_be_local: whether the job can run without Ray: it does not join a cluster, and the
            factory of the network can be sent to a plain process.
        measured: number of workers without GPUs that was measured to be fastest here; None if
            unknown.
        memory: bytes that the workers of GPUs may take together; None: what this machine has left.

    Returns:
        The allocation.

    Raises:
        UsageError: more GPUs are requested than are available, or than workers can use.
    """
    if gpus is not None and gpus > gpus_there:
        there = {0: "there is none", 1: "there is one"}.get(gpus_there, f"there are {gpus_there}")
        raise UsageError(
            f"--gpus {gpus}: {there} that torch can use here. "
            f"Give --gpus {gpus_there}{' to run on the CPU' if not gpus_there else ''}, or see "
            "`magenet doctor`."
        )
    if gpus is None:
        gpus = gpus_there if workers is None else min(gpus_there, max(workers, 1))
    chosen = workers is None
    if workers is None:
        by_memory = max(1, available_memory() // WORKER_BYTES)
        wanted = cpus if measured is None else min(measured, cpus)
        workers = gpus or min(wanted, by_memory, max(1, images if shards is None else shards))
    if gpus > max(workers, 1):
        raise UsageError(
            f"--workers {workers} cannot use --gpus {gpus}: a worker uses one GPU. "
            f"Give --workers {gpus} or more."
        )
    # Whole workers per GPU: with a share of 2/3 only one worker would fit on each GPU.
    per_gpu = -(-workers // gpus) if gpus and workers else 1
    share = int(10_000 / per_gpu) / 10_000 if gpus else 0.0
    small = chosen and may_be_local and not gpus and images <= LOCAL_IMAGES
    executor: ExecutorKind = "inline" if not workers else "local" if small else "ray"
    alone = WorkerAllocation(workers, gpus, share, max(1, cpus // max(1, workers)), executor)
    return _with_batches(alone, available_memory() if memory is None else memory) if gpus else alone


def _with_batches(allocation: WorkerAllocation, memory: int) -> WorkerAllocation:
    """Let each worker of a GPU read and write in several threads, and its network see batches.

    The cores are shared by as many threads that read as that write. Where memory is short, there
    are fewer of them, and then smaller batches.
    """
    share = memory // max(1, allocation.workers)
    readers = max(1, min(READERS, allocation.threads // 2))
    found = allocation._replace(readers=readers, batch=BATCH)
    while found.in_flight * IMAGE_BYTES > share and found.readers > 1:
        found = found._replace(readers=found.readers - 1)
    while found.in_flight * IMAGE_BYTES > share and found.batch > 1:
        found = found._replace(batch=found.batch // 2)
    return found
