"""Real worker processes: killed, killing, interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jobs_fakes
import psutil
import pyarrow.parquet as pq
import pytest
from clusters import shards_done, start, until
from jobs_fakes import FakeEnhancer, fake_factory, outputs, write_image

from magenet_batch.errors import WeightsError
from magenet_batch.jobs.engine import ray_start
from magenet_batch.jobs.engine.progress import SilentProgress
from magenet_batch.jobs.run import run_job

pytestmark = pytest.mark.ray


@pytest.fixture(autouse=True)
def _fakes_travel():
    """Workers cannot import the tests: send the fakes by value."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(jobs_fakes)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(jobs_fakes)
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def statuses(out: Path) -> dict[str, str]:
    found = {}
    for file in (out / "rows").iterdir():
        for row in pq.read_table(file).to_pylist():
            assert row["image_id"] not in found, "no duplicates"
            found[row["image_id"]] = row["reason"] or row["status"]
    return found


class Deadly(FakeEnhancer):
    """Kills its process: once for the one image, every time for the other."""

    def __init__(self, marker: str) -> None:
        self.marker = Path(marker)

    def enhance(self, pixels, fov, *, cancelled=lambda: False):
        if pixels.shape[0] == 64:
            os.kill(os.getpid(), signal.SIGKILL)
        if pixels.shape[0] == 80 and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().enhance(pixels, fov)


def test_workers_know_their_threads_and_leave_waiting_cores(options, tmp_path):
    def factory(device, threads):
        seen = [os.environ[name] for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")]
        (tmp_path / "seen").write_text(" ".join([str(threads), *seen]))
        return FakeEnhancer()

    run_job(options(workers=1), enhancer_factory=factory)
    threads, counted, waiting = (tmp_path / "seen").read_text().split()
    assert threads == counted and waiting == "PASSIVE"


def test_killed_workers_cost_no_image(options, archive, tmp_path):
    write_image(archive / "many" / "1.png", size=80)
    write_image(archive / "many" / "2.png", size=64)
    marker = str(tmp_path / "killed-once")
    factory = lambda device, threads: Deadly(marker)  # noqa: E731
    summary = run_job(options(workers=2, shard_size=4), enhancer_factory=factory)
    found = statuses(tmp_path / "out")
    assert len(found) == 9
    assert found.pop("many/2.png") == "crash"
    assert set(found.values()) == {"enhanced"}
    assert summary.exit_code == 3
    run_job(options(out=str(tmp_path / "calm")), enhancer_factory=fake_factory)
    calm = outputs(tmp_path / "calm")
    calm.pop("many/2.png")
    assert outputs(tmp_path / "out") == calm
    assert not list((tmp_path / "out").rglob("*.tmp"))


HELPERS = ("dashboard.py", "monitor.py")


def helpers_started(options) -> set[str]:
    """Which of Ray's own helpers run during a job."""
    names: set[str] = set()

    def look(done):
        for child in psutil.Process().children(recursive=True):
            names.add(" ".join(child.cmdline()))

    watch = SilentProgress()
    watch.update = look
    summary = run_job(options(workers=1), enhancer_factory=fake_factory, progress=watch)
    assert summary.exit_code == 0
    assert any("raylet" in name for name in names)
    return {helper for helper in HELPERS if any(f"{helper} " in name for name in names)}


def test_only_what_works_is_started(options):
    """Ray's own helpers would take the cores before the first image."""
    assert helpers_started(options) == set()


def test_ray_starts_its_helpers_though_they_are_switched_off(options, monkeypatch):
    """When this fails, public options suffice, and `_bare_node` can go."""
    monkeypatch.setattr(ray_start, "_NOT_NEEDED", ())
    assert helpers_started(options) != set()


def test_a_node_without_helpers_leaves_ray_as_it_was():
    from ray._private.node import Node

    before = [getattr(Node, name) for name in ray_start._NOT_NEEDED]
    with ray_start._bare_node():
        assert Node.start_api_server(None, include_dashboard=False) is None
    assert [getattr(Node, name) for name in ray_start._NOT_NEEDED] == before


def test_a_start_up_error_is_a_sentence(options):
    def broken(device, threads):
        raise WeightsError("these weights are of another network")

    with pytest.raises(WeightsError, match="of another network"):
        run_job(options(workers=2), enhancer_factory=broken)


def start_until_first_rows(archive: Path, out: Path) -> tuple[subprocess.Popen, list]:
    """Start a slow job; wait for its first rows; give it and its child processes."""
    process = start(archive, out, pause=0.7, shard=1)
    until(lambda: shards_done(out) > 0, process)
    return process, psutil.Process(process.pid).children(recursive=True)


def finish(archive: Path, out: Path) -> None:
    """Re-run the same command, and hold the result against what must be there."""
    done = statuses(out)
    assert 0 < len(done) < 9 and set(done.values()) == {"enhanced"}
    again = start(archive, out, pause=0, shard=1)
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said.decode()
    assert set(statuses(out).values()) == {"enhanced"} and len(statuses(out)) == 9
    assert len(outputs(out)) == 9 and not list(out.rglob("*.tmp"))


def test_ctrl_c_drains_and_the_next_run_goes_on(archive, tmp_path):
    out = tmp_path / "out"
    process, children = start_until_first_rows(archive, out)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the driver and its workers
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said.decode()
    assert b"Re-run the same command" in said and b"Traceback" not in said
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive, "no process is left behind"
    finish(archive, out)
    runs = json.loads((out / "run.json").read_text())["runs"]
    assert [run["how"] for run in runs] == ["interrupted", "finished"]


@pytest.mark.slow
def test_a_killed_driver_takes_its_workers_along_and_blocks_nobody(archive, tmp_path):
    out = tmp_path / "out"
    process, children = start_until_first_rows(archive, out)
    process.kill()
    process.communicate(timeout=60)
    _, alive = psutil.wait_procs(children, timeout=120)  # Ray's own agents look every 30 s
    assert not alive, "no process is left behind"
    finish(archive, out)
