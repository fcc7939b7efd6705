"""Ray clusters of several nodes on loopback: nodes join, leave, are cut off, and come back."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import jobs_fakes
import psutil
import pytest
from clusters import (
    differing,
    end,
    everything,
    named,
    node,
    shards_done,
    start,
    until,
    until_alive,
)
from jobs_fakes import fake_factory, outputs, rows, write_image

from magenet_batch.jobs.ledger.status import read_status
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.run import run_job

pytestmark = [pytest.mark.long, pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

HEAD, SECOND, THIRD = "127.0.0.5", "127.0.0.6", "127.0.0.7"
PORT = 6401
ADDRESS = f"{HEAD}:{PORT}"
IMAGES, SHARD = 160, 2


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("nodes") / "archive"
    for index in range(IMAGES):
        write_image(root / f"site_{index % 5}" / f"{index:03d}.png", seed=index % 9, size=64)
    return root


@pytest.fixture(scope="module")
def whole(archive: Path) -> Path:
    """The output of an undisturbed job without Ray."""
    out = archive.parent / "whole"
    with pytest.MonkeyPatch.context() as patch:
        jobs_fakes.measure_nothing(patch.setattr)
        run_job(
            JobOptions(policy="all", archive=(str(archive),), out=str(out), workers=0, gpus=0,
                       shard_size=SHARD),
            enhancer_factory=fake_factory,
        )  # fmt: skip
    return out


class Cluster:
    """Nodes by their address.

    Args:
        head_works: whether the head has a worker too.
    """

    def __init__(self, *, head_works: bool = True) -> None:
        self.nodes: dict[str, subprocess.Popen] = {}
        self._head_works = head_works

    def __enter__(self) -> Cluster:
        self.add(HEAD)
        return self

    def __exit__(self, *error: object) -> None:
        for one in self.nodes.values():
            end(one)

    def add(self, address: str, *, within: Sequence[str] = ()) -> None:
        """Start a node, and wait until its raylet lives."""
        if address == HEAD:
            more = ["--head", f"--port={PORT}"]
            self.nodes[address] = node(address, *more, cpus=int(self._head_works), within=within)
        else:
            self.nodes[address] = node(address, f"--address={ADDRESS}", within=within)
        until_alive(self.nodes[address])
        time.sleep(3 if address == HEAD else 0)  # its own server follows

    def kill(self, address: str) -> None:
        """Kill a node with everything on it."""
        end(self.nodes.pop(address))

    def restart(self, address: str) -> None:
        """Stop a node as its administrator does, and start it again."""
        self.nodes[address].terminate()
        self.nodes[address].wait(60)
        self.kill(address)  # what is left
        self.add(address)

    def works(self, address: str) -> bool:
        """Whether a worker of the job lives on a node."""
        return bool(named(self.nodes[address], "ray::_Actor"))


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file for which workers wait, so that a job cannot end before its test wants."""
    return tmp_path / "gate"


def is_as_undisturbed(out: Path, whole: Path) -> None:
    assert rows(out) == rows(whole)
    assert differing(outputs(out), outputs(whole)) == []
    assert read_status(out).complete
    assert not list(out.rglob("*.tmp"))


def test_a_node_joins_and_is_replaced(archive, whole, tmp_path, gate):
    """One joins half-way, leaves with everything on it, and comes back."""
    out = tmp_path / "out"
    with Cluster() as cluster:
        job = start(archive, out, pause=0.1, shard=SHARD, address=ADDRESS, gate=gate, free=20)
        until(lambda: shards_done(out) >= 3, job)
        cluster.add(SECOND)
        until(lambda: cluster.works(SECOND), job)
        until(lambda: shards_done(out) >= 20, job)
        cluster.kill(SECOND)
        cluster.add(SECOND)
        until(lambda: cluster.works(SECOND), job)
        gate.touch()
        _, said = job.communicate(timeout=300)
    assert job.returncode == 0, said.decode()
    is_as_undisturbed(out, whole)


def test_nodes_that_are_restarted_one_after_another_cost_no_image(archive, whole, tmp_path, gate):
    """All workers are on other nodes than the head, and each of these is restarted once."""
    out = tmp_path / "out"
    with Cluster(head_works=False) as cluster:
        cluster.add(SECOND)
        cluster.add(THIRD)
        job = start(archive, out, pause=0.1, shard=SHARD, address=ADDRESS, gate=gate, free=20)
        until(lambda: shards_done(out) >= 4, job)
        for address in (SECOND, THIRD):
            until(lambda at=address: cluster.works(at), job)
            cluster.restart(address)
        until(lambda: cluster.works(SECOND) and cluster.works(THIRD), job)
        assert shards_done(out) < IMAGES // SHARD
        gate.touch()
        _, said = job.communicate(timeout=300)
    assert job.returncode == 0, said.decode()
    is_as_undisturbed(out, whole)


def test_a_node_that_is_cut_off_and_comes_back_spoils_nothing(archive, whole, tmp_path):
    """All its processes stop until it counts as dead, and then continue with what they had."""
    out = tmp_path / "out"
    with Cluster() as cluster:
        cluster.add(SECOND)
        job = start(archive, out, pause=0.25, shard=SHARD, address=ADDRESS)
        until(lambda: shards_done(out) >= 4 and cluster.works(SECOND), job)
        stopped = everything(cluster.nodes[SECOND])
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        done = shards_done(out)
        until(lambda: shards_done(out) >= done + 12, job)
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        _, said = job.communicate(timeout=300)
    assert job.returncode == 0, said.decode()
    is_as_undisturbed(out, whole)


SMALL_DISK = 'mount -t tmpfs -o size=4k tmpfs "$0" && exec "$@"'
"""Room for less than one image."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_node_whose_disk_is_full_is_named_and_blames_no_image(archive, whole, tmp_path, gate):
    """It joins half-way, and sees another disk at the place of the images than all others."""
    out = tmp_path / "out"
    with Cluster() as cluster:
        job = start(archive, out, pause=0.1, shard=SHARD, address=ADDRESS, gate=gate, free=20)
        until(lambda: shards_done(out) >= 3, job)
        within = ["unshare", "--mount", "sh", "-c", SMALL_DISK, str(out / "images")]
        cluster.add(SECOND, within=within)
        _, said = job.communicate(timeout=180)
        assert job.returncode == 1, said.decode()
        assert f"On the node {SECOND}: {out} cannot be written to: No space left" in said.decode()
        assert all(row["status"] == "enhanced" for row in rows(out))
        assert shards_done(out) < IMAGES // SHARD
        cluster.kill(SECOND)
        cluster.add(SECOND)
        gate.touch()
        again = start(archive, out, pause=0.05, shard=SHARD, address=ADDRESS)
        _, said = again.communicate(timeout=300)
        assert again.returncode == 0, said.decode()
    is_as_undisturbed(out, whole)


def test_a_head_that_dies_ends_the_job_and_the_same_command_completes_it(
    archive, whole, tmp_path, gate
):
    out = tmp_path / "out"
    with Cluster() as cluster:
        cluster.add(SECOND)
        job = start(archive, out, pause=0.1, shard=SHARD, address=ADDRESS, gate=gate, free=12)
        until(lambda: shards_done(out) >= 6, job)
        cluster.kill(HEAD)
        try:
            _, said = job.communicate(timeout=180)
        except subprocess.TimeoutExpired:
            job.send_signal(signal.SIGKILL)
            raise
        assert job.returncode not in (0, 3), "it cannot have finished"
        assert 6 <= shards_done(out) < IMAGES // SHARD
        cluster.kill(SECOND)
        cluster.add(HEAD)
        cluster.add(THIRD)
        again = start(archive, out, pause=0.05, shard=SHARD, address=ADDRESS)
        _, said = again.communicate(timeout=300)
        assert again.returncode == 0, said.decode()
    is_as_undisturbed(out, whole)
