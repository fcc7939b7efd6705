"""The service: whole files, each once, rows at once, and a clean end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import jobs_fakes
import pytest
from jobs_fakes import FakeEnhancer, fake_factory, outputs, rows, write_image

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_DONE, EXIT_USAGE, JobError, UsageError
from magenet_batch.jobs.ledger.status import read_status
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan import plan as plan_module
from magenet_batch.jobs.run import run_job
from magenet_batch.jobs.watch import service
from magenet_batch.jobs.watch.metrics import Metrics, served
from magenet_batch.jobs.watch.service import Watch


class Watched:
    """A service in a thread, with its inbox."""

    def __init__(self, root: Path, *, settle: float = 0.0, factory=fake_factory) -> None:
        self.inbox, self.out = root / "inbox", root / "out"
        self.inbox.mkdir(exist_ok=True)
        self.options = JobOptions(archive=(str(self.inbox),), out=str(self.out), workers=0, gpus=0,
                                  policy="all", append=True, settle=settle)  # fmt: skip
        self.metrics, self.stop, self.said = Metrics(), threading.Event(), []
        self.error: list[Exception] = []
        self._watch = Watch(self.options, every=0.05, metrics=self.metrics, stop=self.stop,
                            say=self.said.append, enhancer_factory=factory)  # fmt: skip
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self._watch.run()
        except Exception as error:
            self.error.append(error)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self.stop.set()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()

    def until(self, condition, *, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline and self._thread.is_alive(), self.said
            time.sleep(0.02)

    def has(self, count: int) -> bool:
        return self.metrics.images.get("enhanced", 0) == count


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    jobs_fakes.measure_nothing(monkeypatch.setattr)


def test_images_are_enhanced_as_they_arrive_each_once(tmp_path):
    enhanced = []

    class Counting(FakeEnhancer):
        def enhance(self, pixels, fov, *, cancelled=lambda: False):
            enhanced.append(1)
            return super().enhance(pixels, fov)

    with Watched(tmp_path, factory=lambda device, threads: Counting()) as watched:
        watched.until(lambda: watched.metrics.looks > 2)
        assert not watched.out.exists(), "an empty inbox starts no job"
        for count in (1, 2, 3):
            write_image(watched.inbox / f"{count}.png", seed=count)
            watched.until(lambda: watched.has(count))  # noqa: B023
            assert len(rows(watched.out)) == count, "its row is there at once"
        looks = watched.metrics.looks
        watched.until(lambda: watched.metrics.looks > looks + 3)
        for path in watched.inbox.iterdir():
            path.unlink()
        write_image(watched.inbox / "after.png", seed=9)
        watched.until(lambda: watched.has(4))
    assert (len(enhanced), watched.metrics.worked) == (4, 4)
    assert (watched.metrics.errors, watched.metrics.removed) == (0, 3)
    status = read_status(watched.out)
    assert (status.complete, status.removed) == (True, 3)
    assert not watched.error
    assert run_job(watched.options, enhancer_factory=fake_factory).worked == 0, "as enhance does"


def test_a_file_that_grows_is_left_until_it_is_whole(tmp_path, monkeypatch):
    with Watched(tmp_path, settle=0.3) as watched:
        whole = write_image(tmp_path / "whole.png", seed=1, size=400).read_bytes()
        slow = watched.inbox / "slow.png"
        with slow.open("wb") as file:
            step = -(-len(whole) // 12)
            for at in range(0, len(whole), step):
                file.write(whole[at : at + step])
                file.flush()
                time.sleep(0.1)
                if at == 5 * step:
                    write_image(watched.inbox / "other.png", seed=2)
        watched.until(lambda: watched.has(2))
    assert {r["image_id"]: r["status"] for r in rows(watched.out)} == {
        "slow.png": "enhanced", "other.png": "enhanced",
    }  # fmt: skip
    assert all(r["bytes"] in (len(whole), (watched.inbox / "other.png").stat().st_size)
               for r in rows(watched.out))  # fmt: skip


def test_only_files_that_keep_their_version_are_whole(tmp_path, monkeypatch):
    options = JobOptions(archive=(str(tmp_path),), out=str(tmp_path.parent / "o"))
    for name in ("a.png", "b.png", "c.png"):
        write_image(tmp_path / name)
    table = plan_module.make_plan(options).table

    def sleep(seconds):
        assert seconds == 7
        (tmp_path / "a.png").write_bytes(b"more")
        (tmp_path / "b.png").unlink()

    monkeypatch.setattr(plan_module.time, "sleep", sleep)
    assert plan_module.settled(table, seconds=7).tolist() == [False, False, True]
    assert plan_module.settled(table, seconds=0).tolist() == [True, True, True]


def test_errors_are_tried_again_and_wrong_options_end_the_service(tmp_path, monkeypatch):
    real, failing = service.run_job, [JobError("the disk is away")] * 2

    def sometimes(*given, **how):
        if failing:
            raise failing.pop()
        return real(*given, **how)

    monkeypatch.setattr(service, "run_job", sometimes)
    with Watched(tmp_path) as watched:
        write_image(watched.inbox / "a.png")
        watched.until(lambda: watched.has(1))
    assert watched.metrics.errors == 2
    assert sum("the disk is away" in line for line in watched.said) == 2
    other = JobOptions(**(watched.options.model_dump() | {"quality": 80}))
    with pytest.raises(UsageError, match="quality"):
        Watch(other, every=1, metrics=Metrics(), enhancer_factory=fake_factory).run()


def test_metrics_are_what_prometheus_reads():
    metrics = Metrics(looks=3, working=True, images={"failed": 1, "enhanced": 2})
    with served(metrics, 0) as port:
        answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = answer.read().decode()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/")
        with pytest.raises(UsageError, match="--metrics-port"), served(metrics, port):
            pass
    lines = text.splitlines()
    assert 'magenet_images{status="enhanced"} 2' in lines and "magenet_working 1" in lines
    for line in lines:
        words = line.split()
        assert words[:2] in (["#", "HELP"], ["#", "TYPE"]) or float(words[-1]) >= 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics")


def test_wrong_options_through_the_command_line(tmp_path, capsys):
    assert main(["watch", str(tmp_path / "nowhere"), "-o", str(tmp_path / "out")]) == EXIT_USAGE
    assert "no such folder" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_termination_ends_the_service_cleanly(tmp_path):
    """A process of its own, as systemd starts and stops it."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox/broken.png").write_bytes(b"no image")
    words = ["watch", str(tmp_path / "inbox"), "-o", str(tmp_path / "out"), "--every", "1",
             "--settle", "0", "--workers", "0", "--gpus", "0", "--metrics-port", "0"]  # fmt: skip
    process = subprocess.Popen([sys.executable, "-m", "magenet_batch", *words],
                               stderr=subprocess.PIPE, text=True, env=os.environ)  # fmt: skip
    try:
        deadline = time.monotonic() + 240
        while not list((tmp_path / "out").glob("rows/*.parquet")):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == EXIT_DONE, said
    assert "metrics on http://127.0.0.1:" in said and "Traceback" not in said
    assert not list((tmp_path / "out").glob(".magenet*"))
    assert outputs(tmp_path / "out") == {}
    assert [row["reason"] for row in rows(tmp_path / "out")] == ["not_an_image"]
