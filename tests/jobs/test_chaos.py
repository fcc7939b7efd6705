"""Two thousand images while processes are killed at random: as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import jobs_fakes
import pytest
from clusters import differing, end, named, node, shards_done, start, until, until_alive
from jobs_fakes import fake_factory, outputs, rows, write_image

from magenet_batch.jobs.ledger.status import read_status
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.run import run_job

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

IMAGES, KILLS = 2000, 12


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few pictures under many names, so that drawing them costs little; some are broken."""
    root = tmp_path_factory.mktemp("chaos") / "archive"
    originals = [write_image(root / f"first/{seed}.png", seed=seed, size=64) for seed in range(9)]
    for index in range(len(originals), IMAGES):
        target = root / f"site_{index % 7}" / f"{index:05d}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        if index % 400 == 0:
            target.write_bytes(b"no image")
        else:
            os.link(originals[index % 9], target)
    return root


def test_a_dozen_kills_change_no_byte(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    jobs_fakes.measure_nothing(monkeypatch.setattr)
    whole = JobOptions(
        policy="all",
        archive=(str(archive),),
        out=str(tmp_path / "whole"),
        workers=0,
        gpus=0,
        shard_size=10,
    )
    run_job(whole, enhancer_factory=fake_factory)
    out = tmp_path / "out"
    rng = random.Random(20230214)
    # Where in the job each kill happens, and who dies: a worker, the driver, or Ray's own node.
    moments = sorted(rng.sample(range(2, 110), KILLS))
    victims = [
        ("worker", "driver", "worker", "worker", "node", "worker")[i % 6] for i in range(KILLS)
    ]
    process = start(archive, out, pause=0.05, shard=10)
    killed = dict.fromkeys(victims, 0)
    last = 0  # something is finished between two kills: a job that is only killed gives up
    deadline = time.monotonic() + 480
    try:
        for moment, victim in zip(moments, victims, strict=True):
            while shards_done(out) < max(moment, last + 1):
                assert time.monotonic() < deadline
                assert process.poll() is None, process.communicate()[1].decode()
                time.sleep(0.02)
            if victim == "driver":
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate(timeout=60)
                process = start(archive, out, pause=0.05, shard=10)
            elif victim == "node":
                (raylet,) = named(process, "raylet")
                raylet.kill()  # the driver starts it again
            else:
                while not (alive := named(process, "ray::_Actor")):
                    assert process.poll() is None and time.monotonic() < deadline
                    time.sleep(0.05)
                rng.choice(alive).kill()
            killed[victim] += 1
            last = shards_done(out)
        _, said = process.communicate(timeout=240)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 3, said.decode()  # the broken ones, and no other
    assert sum(killed.values()) == KILLS
    whole_rows = {row["image_id"]: row for row in rows(tmp_path / "whole")}
    assert [row for row in rows(out) if row != whole_rows[row["image_id"]]] == []
    assert rows(out) == rows(tmp_path / "whole")
    assert differing(outputs(out), outputs(tmp_path / "whole")) == []
    assert not list(out.rglob("*.tmp"))
    assert read_status(out).complete


def test_a_killed_node_costs_no_image(archive: Path, tmp_path: Path):
    """Two nodes on one machine; the second dies with everything on it half-way."""
    few = tmp_path / "few"
    for path in sorted((archive / "site_3").iterdir())[:120]:
        (few / path.name).parent.mkdir(exist_ok=True)
        os.link(path, few / path.name)
    out = tmp_path / "out"
    nodes = [node("127.0.0.3", "--head", "--port=6399")]
    try:
        until_alive(nodes[0])
        time.sleep(3)  # its own server follows
        nodes.append(node("127.0.0.4", "--address=127.0.0.3:6399"))
        for one in nodes:
            until_alive(one)
        process = start(few, out, pause=0.15, shard=4, address="127.0.0.3:6399")
        until(lambda: shards_done(out) >= 4 and bool(named(nodes[1], "ray::_Actor")), process)
        end(nodes.pop())
        _, said = process.communicate(timeout=200)
        assert process.returncode == 0, said.decode()
    finally:
        for one in nodes:
            end(one)
    status = read_status(out)
    assert status.complete
    assert status.counts.by_status["enhanced"] == 120
    assert len(outputs(out)) == 120
    assert not list(out.rglob("*.tmp"))
