"""Jobs in processes of their own, and Ray nodes on addresses of loopback."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil

TOKEN = "a" * 64
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
QUIET = {
    **os.environ,
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_TOKEN": TOKEN,
    "RAY_AUTH_MODE": "token",
    "RAY_worker_niceness": "0",  # else a busy machine starves them
    # A node that does not answer for some seconds is dead, not only after half a minute.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "4",
}

JOB = """
    import sys, time
    sys.path.insert(0, {here!r})
    import jobs_fakes
    from ray import cloudpickle
    cloudpickle.register_pickle_by_value(jobs_fakes)
    cloudpickle.register_pickle_by_value(sys.modules["__main__"])
    from magenet_batch.jobs.options import JobOptions
    from magenet_batch.jobs.run import run_job

    class Slow(jobs_fakes.FakeEnhancer):
        def enhance(self, pixels, fov, *, cancelled=lambda: False):
            time.sleep({pause})
            return super().enhance(pixels, fov)

    def slow(device, threads):
        jobs_fakes.measure_nothing()
        return Slow()

    options = JobOptions(
        policy="all", archive=({archive!r},), out={out!r}, workers=2, gpus=0, shard_size={shard},
        address={address!r},
    )
    summary = run_job(options, enhancer_factory=slow, say=print)
    sys.exit(summary.exit_code)
"""


def start(
    archive: Path, out: Path, *, pause: float, shard: int, address: str | None = None, **more
):
    """The job in a process of its own; on a cluster of this module, with its token."""
    if address is not None:
        more |= {"RAY_AUTH_TOKEN": TOKEN, "RAY_AUTH_MODE": "token"}
    text = JOB.format(
        here=str(Path(__file__).parent), archive=str(archive), out=str(out), pause=pause,
        shard=shard, address=address,
    )  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text)], stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, start_new_session=True, env={**os.environ, **more},
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


def node(address: str, *more: str) -> subprocess.Popen:
    """A Ray node on an address of its own, in the foreground, without anything that listens out."""
    words = [
        "start", "--block", f"--node-ip-address={address}", "--num-cpus=1",
        "--object-store-memory=100000000", *more,
    ]  # fmt: skip
    if "--head" in more:  # Ray refuses it elsewhere
        words.append("--include-dashboard=false")
    return subprocess.Popen(
        [*RAY, *words], env=QUIET, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
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
