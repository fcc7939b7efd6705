"""Small jobs in child processes: the same results as anywhere else, and the same promises."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import local_fakes
import psutil
import pyarrow.parquet as pq
import pytest
from jobs_fakes import fake_factory, outputs, write_image

from magenet_batch.errors import JobError, StorageError, WeightsError
from magenet_batch.jobs.engine import machine
from magenet_batch.jobs.engine.executor import Done, Lost, Ready
from magenet_batch.jobs.engine.local_executor import LocalExecutor, travels
from magenet_batch.jobs.engine.machine import LOCAL_IMAGES, allocate_workers
from magenet_batch.jobs.plan.plan import make_plan
from magenet_batch.jobs.run import run_job
from magenet_batch.jobs.work.worker import WorkerConfig, WorkUnit
from magenet_batch.records.schema import TIMING_COLUMNS


@pytest.fixture(autouse=True)
def _no_ray(request, monkeypatch):
    """Whatever a small job does, it does without Ray: an import of it fails."""
    if "ray" not in request.keywords:
        monkeypatch.setitem(sys.modules, "magenet_batch.jobs.engine.ray_executor", None)


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch):
    monkeypatch.setattr("magenet_batch.jobs.run.cpu_count", lambda: 2)
    monkeypatch.setattr(machine, "WORKER_BYTES", 1)


def rows(out: Path) -> list[dict]:
    """All rows, without what depends on the clock."""
    found = [r for f in sorted((out / "rows").iterdir()) for r in pq.read_table(f).to_pylist()]
    return [{k: v for k, v in row.items() if k not in TIMING_COLUMNS} for row in found]


def test_a_small_job_starts_no_ray_and_says_so(options, tmp_path):
    said: list[str] = []
    summary = run_job(options(workers=None), enhancer_factory=fake_factory, say=said.append)
    assert summary.exit_code == 0
    assert any("2 local processes on CPU, 1 thread each" in line for line in said[:3])
    run_job(options(out=str(tmp_path / "inline")), enhancer_factory=fake_factory)
    assert outputs(tmp_path / "out") == outputs(tmp_path / "inline")
    assert rows(tmp_path / "out") == rows(tmp_path / "inline")
    children = psutil.Process().children(recursive=True)
    assert not [c for c in children if "local_worker" in " ".join(c.cmdline())]


@pytest.mark.parametrize(
    ("changes", "executor"),
    [
        ({}, "local"),
        ({"images": LOCAL_IMAGES + 1}, "ray"),
        ({"workers": 2}, "ray"),
        ({"workers": 0}, "inline"),
        ({"gpus": 0}, "local"),
        ({"gpus_there": 1}, "ray"),
        ({"may_be_local": False}, "ray"),
    ],
)
def test_what_is_asked_for_rules(changes, executor):
    asked = {"workers": None, "gpus": None, "images": LOCAL_IMAGES, "cpus": 2, "gpus_there": 0}
    assert allocate_workers(**(asked | changes)).executor == executor


def test_no_more_processes_than_shards():
    found = allocate_workers(workers=None, gpus=None, images=3, shards=2, cpus=64, gpus_there=0)
    assert (found.workers, found.threads) == (2, 32)
    assert found.text() == "2 local processes on CPU, 32 threads each"


def test_factories_that_cannot_be_imported_take_ray():
    assert travels(None) and travels(fake_factory) and travels(partial(local_fakes.slow, pause=1.0))
    assert not travels(lambda device, threads: None)


def test_images_that_kill_become_rows(options, archive, tmp_path):
    write_image(archive / "many" / "1.png", size=80)
    write_image(archive / "many" / "2.png", size=64)
    factory = local_fakes.deadly_with(tmp_path / "killed-once")
    summary = run_job(options(workers=None, shard_size=4), enhancer_factory=factory)
    found = {row["image_id"]: row["reason"] or row["status"] for row in rows(tmp_path / "out")}
    assert len(found) == 9 and found.pop("many/2.png") == "crash"
    assert set(found.values()) == {"enhanced"}
    assert summary.exit_code == 3
    assert not list((tmp_path / "out").rglob("*.tmp"))
    log = (tmp_path / "out" / "log.jsonl").read_text()
    assert log.count('"worker_lost"') >= 4


def test_a_worker_that_finishes_nothing_is_killed(options, archive, tmp_path, monkeypatch):
    from magenet_batch.jobs.engine import engine

    monkeypatch.setattr(engine, "WAIT_S", 0.05)
    make = engine.Engine.__init__
    monkeypatch.setattr(
        engine.Engine, "__init__", lambda self, *a, **k: make(self, *a, **k, image_timeout=0.4)
    )
    factory = partial(local_fakes.slow, pause=60.0)
    one = options(workers=None, include=("a.jpg",))
    run_job(one, enhancer_factory=factory)
    assert [row["reason"] for row in rows(tmp_path / "out")] == ["timeout"]


def test_a_start_up_error_is_a_sentence(options):
    with pytest.raises(WeightsError, match="of another network"):
        run_job(options(workers=None), enhancer_factory=local_fakes.broken)


def test_workers_that_die_while_starting_end_the_job(options):
    with pytest.raises(JobError, match=r"died during start-up: its process ended with exit code 9"):
        run_job(options(workers=None), enhancer_factory=local_fakes.dies_at_once)


def test_a_folder_that_takes_no_more_files_ends_the_job(options, tmp_path):
    plan = make_plan(options())
    config = WorkerConfig(
        out="/proc/nowhere", factory=fake_factory, device="cpu", threads=1,
        image_options=options().image_options,
    )  # fmt: skip
    executor = LocalExecutor(config)
    try:
        worker = executor.spawn()
        assert wait_for(executor) == Ready(worker)
        unit = WorkUnit(0, (0, 1), whole=True)
        executor.submit(worker, unit, plan.slice(0, unit.positions))
        answer = wait_for(executor)
        assert isinstance(getattr(answer, "error", None), StorageError) or isinstance(answer, Done)
    finally:
        executor.close()
    assert executor.pids() == []


def wait_for(executor: LocalExecutor):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if events := executor.wait(0.2, tick=lambda: None):
            return events[0]
    raise AssertionError("no answer")


def test_a_process_that_is_killed_is_lost_and_one_we_kill_is_not(options):
    config = WorkerConfig(
        out="out", factory=fake_factory, device="cpu", threads=1,
        image_options=options().image_options,
    )  # fmt: skip
    executor = LocalExecutor(config)
    try:
        first = executor.spawn()
        assert wait_for(executor) == Ready(first)
        os.kill(executor.pids()[0], signal.SIGKILL)
        lost = wait_for(executor)
        assert isinstance(lost, Lost) and lost.message == "its process was ended by SIGKILL"
        second = executor.spawn()
        executor.kill(second)
        assert executor.wait(0.5, tick=lambda: None) == []
    finally:
        executor.close()


SCRIPT = """
    import os
    import sys
    sys.path[:0] = [{here!r}, {parent!r}]
    from functools import partial
    import local_fakes
    from magenet_batch.jobs.options import JobOptions
    from magenet_batch.jobs import run
    from magenet_batch.jobs.engine import machine
    machine.WORKER_BYTES, run.cpu_count = 1, lambda: 2

    say = lambda text: print(text, file=sys.stderr, flush=True)
    options = JobOptions(archive=({archive!r},), out={out!r}, shard_size=1, gpus=0, policy="all")
    factory = partial(local_fakes.slow, pause={pause})
    summary = run.run_job(options, enhancer_factory=factory, say=say)
    print(summary.text(), file=sys.stderr)
    assert "ray" not in sys.modules
    sys.stderr.flush()
    os._exit(summary.exit_code)  # at once, as the program ends: a late signal changes nothing
"""


def command(archive: Path, out: Path, *, pause: float) -> list[str]:
    """A job in a process of its own, with a network that takes `pause` seconds an image."""
    here = Path(__file__).parent
    text = SCRIPT.format(
        here=str(here), parent=str(here.parent), archive=str(archive), out=str(out), pause=pause
    )
    return [sys.executable, "-c", textwrap.dedent(text)]


def start(archive: Path, out: Path, *, pause: float) -> subprocess.Popen[bytes]:
    """Start a job and wait until it has rows and a worker that is ready."""
    log = out / "log.jsonl"
    before = log.read_text().count("worker_ready") if log.exists() else 0
    process = subprocess.Popen(
        command(archive, out, pause=pause), stderr=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not list(out.glob("rows/part-*.parquet")) or (
        log.read_text().count("worker_ready") == before
    ):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    return process


def finish(archive: Path, out: Path) -> None:
    """Re-run the same command, and hold the result against what must be there."""
    assert 0 < len(rows(out)) < 9
    again = subprocess.run(command(archive, out, pause=0), capture_output=True, timeout=120)
    assert again.returncode == 0, again.stderr.decode()
    assert [row["status"] for row in rows(out)] == ["enhanced"] * 9
    assert len(outputs(out)) == 9 and not list(out.rglob("*.tmp"))


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_once_drains_and_twice_stops_at_once(archive, tmp_path, signals):
    out = tmp_path / "out"
    pause = {1: 0.7, 2: 40.0}[signals]
    if signals == 2:  # something is done, and the rest takes long
        first = subprocess.run(command(archive, out, pause=0), capture_output=True, timeout=120)
        assert first.returncode == 0, first.stderr.decode()
        for file in sorted((out / "rows").iterdir())[2:]:
            file.unlink()
    process = start(archive, out, pause=pause)
    children = psutil.Process(process.pid).children(recursive=True)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    if signals == 2:
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said.decode()
    assert b"Re-run the same command" in said and b"Traceback" not in said
    if signals == 2:
        assert time.monotonic() - began < 20
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive, "no process is left behind"
    finish(archive, out)


def test_a_killed_driver_takes_its_processes_along(archive, tmp_path):
    out = tmp_path / "out"
    process = start(archive, out, pause=0.7)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.kill()
    process.communicate(timeout=60)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive, "no process is left behind"
    finish(archive, out)


@pytest.mark.ray
@pytest.mark.slow
def test_the_shipped_network_gives_the_same_bytes_and_rows_as_on_ray(tmp_path):
    """Real weights, the default policy; only the columns of times differ."""
    import cv2

    from magenet_batch.jobs.options import JobOptions
    from magenet_batch.phantom import make_phantom

    archive = tmp_path / "archive"
    archive.mkdir()
    for seed in range(3):
        pixels = make_phantom(seed, size=256).pixels
        cv2.imwrite(str(archive / f"{seed}.png"), cv2.GaussianBlur(pixels, (0, 0), seed * 1.5 + 1))
    (archive / "bad.png").write_bytes(b"no image")
    found = {}
    for name, workers in (("local", None), ("ray", 2)):
        options = JobOptions(
            archive=(str(archive),), out=str(tmp_path / name), workers=workers, gpus=0,
            policy="all", evidence=True,
        )  # fmt: skip
        assert run_job(options).exit_code == 3
        found[name] = {
            p.relative_to(tmp_path / name).as_posix(): p.read_bytes()
            for kind in ("images", "evidence")
            for p in (tmp_path / name / kind).rglob("*.*")
        }
    assert len(found["local"]) == 6
    assert found["local"] == found["ray"]
    assert rows(tmp_path / "local") == rows(tmp_path / "ray")
