"""Jobs in processes of their own, and Ray nodes on addresses of loopback."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

TOKEN = "a" * 64
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
QUIET = {
    **os.environ,
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_TOKEN": TOKEN,
    "RAY_AUTH_MODE": "token",
    # A node that does not answer for some seconds is dead, not only after half a minute.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "4",
}

JOB = """
    import os, sys, time
    sys.path.insert(0, {here!r})
    import jobs_fakes
    from magenet_batch.jobs.options import JobOptions
    from magenet_batch.jobs.run import run_job

    if {workers}:
        from ray import cloudpickle
        cloudpickle.register_pickle_by_value(jobs_fakes)
        cloudpickle.register_pickle_by_value(sys.modules["__main__"])
    gate = {gate!r}

    class Slow(jobs_fakes.FakeEnhancer):
        done = 0

        def enhance(self, pixels, fov, *, cancelled=lambda: False):
            time.sleep({pause})
            while gate and self.done >= {free} and not os.path.exists(gate):
                time.sleep(0.05)
            self.done += 1
            return super().enhance(pixels, fov)

    def slow(device, threads):
        jobs_fakes.measure_nothing()
        return Slow()

    options = JobOptions(
        policy="all", archive=({archive!r},), out={out!r}, workers={workers}, gpus=0,
        shard_size={shard}, address={address!r},
    )
    summary = run_job(options, enhancer_factory=slow, say=print)
    print(summary.text(), file=sys.stderr)
    sys.exit(summary.exit_code)
"""


def start(
    archive: Path,
    out: Path | str,
    *,
    pause: float,
    shard: int,
    workers: int = 2,
    address: str | None = None,
    gate: Path | None = None,
    free: int = 0,
) -> subprocess.Popen:
    """Start a slow job in a process of its own.

    Args:
        archive: its images; they are not measured.
        out: its output folder.
        pause: what the network takes for an image, seconds.
        shard: images in a shard.
        workers: number of workers; 0 works in the process itself, without Ray.
        address: of a cluster of this module, which has a token.
        gate: a file; until it exists, a worker waits after some images.
        free: number of images before a worker waits.
    """
    token = {} if address is None else {"RAY_AUTH_TOKEN": TOKEN, "RAY_AUTH_MODE": "token"}
    text = JOB.format(
        here=str(Path(__file__).parent), archive=str(archive), out=str(out), pause=pause,
        shard=shard, workers=workers, address=address, gate=gate and str(gate), free=free,
    )  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text)], stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, start_new_session=True, env={**os.environ, **token},
    )  # fmt: skip


def differing(some: dict[str, bytes], others: dict[str, bytes]) -> list[str]:
    """Names that only one side has, or that hold other bytes: short where it is not empty."""
    return sorted(n for n in some.keys() | others.keys() if some.get(n) != others.get(n))


def shards_done(out: Path) -> int:
    return len(list(out.glob("rows/part-*.parquet")))


def named(process: subprocess.Popen, name: str) -> list[psutil.Process]:
    """Living processes below a driver that Ray calls so: `ray::_Actor`, `raylet`."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    found = []
    for child in children:
        try:
            command = (child.cmdline() or [""])[0].rpartition("/")[2]
            if command.startswith(name) and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.Error:
            continue
    return found


def node(address: str, *more: str, cpus: int = 1, within: Sequence[str] = ()) -> subprocess.Popen:
    """Start a Ray node on an address of its own, without anything that listens out.

    Args:
        address: its address.
        more: words for `ray start`.
        cpus: number of its CPUs, each for one worker.
        within: a command that runs the node as its last words, such as `unshare`.
    """
    words = [
        "start", "--block", f"--node-ip-address={address}", f"--num-cpus={cpus}",
        "--object-store-memory=100000000", *more,
    ]  # fmt: skip
    if "--head" in more:  # Ray refuses it elsewhere
        words.append("--include-dashboard=false")
    return subprocess.Popen(
        [*within, *RAY, *words], env=QUIET, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


def end(node: subprocess.Popen) -> None:
    """Kill a node with everything that it started, at once."""
    for process in everything(node):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    node.wait()


def until(condition: Callable[[], bool], job: subprocess.Popen, *, seconds: float = 240) -> None:
    """Wait until something is true while a job runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert job.poll() is None, job.communicate()[1].decode()
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def everything(node: subprocess.Popen) -> list[psutil.Process]:
    """A node's process and all that it started; nothing of one that has ended."""
    try:
        first = psutil.Process(node.pid)
        return [*first.children(recursive=True), first]
    except psutil.NoSuchProcess:
        return []


def until_alive(node: subprocess.Popen) -> None:
    """Wait until the raylet of a node lives."""
    deadline = time.monotonic() + 90
    while not named(node, "raylet"):
        assert node.poll() is None and time.monotonic() < deadline, "the node did not start"
        time.sleep(0.1)
