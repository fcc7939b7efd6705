"""The service on buckets: an S3 server on loopback."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import cv2
import jobs_fakes
import pytest
from jobs_fakes import fake_factory, tiny_fundus
from test_store_output import rows_of, stored

from magenet_batch.errors import EXIT_DONE
from magenet_batch.jobs.ledger.status import read_status
from magenet_batch.jobs.ledger.store_lock import RELEASED
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.run import run_job
from magenet_batch.jobs.watch.metrics import Metrics
from magenet_batch.jobs.watch.service import Watch
from magenet_batch.storage import location_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
INBOX, OUT = "s3://results/inbox", "s3://results/out"
OPTIONS = JobOptions(archive=(INBOX,), out=OUT, workers=0, gpus=0, policy="all", append=True,
                     settle=2.0)  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    jobs_fakes.measure_nothing(monkeypatch.setattr)


def arrive(name: str, seed: int) -> None:
    coded, data = cv2.imencode(".png", tiny_fundus(seed)[..., ::-1])
    assert coded
    (location_of(INBOX) / name).write_bytes(data.tobytes())


def until(condition, thread: threading.Thread) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline and thread.is_alive()
        time.sleep(0.05)


def test_objects_are_enhanced_as_they_arrive_each_once(empty_bucket, deny):
    metrics, stop, said = Metrics(), threading.Event(), []
    watch = Watch(OPTIONS, every=0.1, metrics=metrics, stop=stop, say=said.append,
                  enhancer_factory=fake_factory)  # fmt: skip
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        until(lambda: metrics.looks > 1, thread)
        for count, name in enumerate(("a.png", "left/b.png", "c.png"), start=1):
            arrive(name, seed=count)
            until(lambda: metrics.images.get("enhanced") == count, thread)  # noqa: B023
        arrive("a.png", seed=9)  # replaced
        until(lambda: metrics.worked == 4, thread)
        deny(lambda asked: asked.startswith("GET /results"))
        until(lambda: metrics.errors >= 1, thread)
        deny(None)
        (location_of(INBOX) / "c.png").unlink()
        arrive("d.png", seed=4)
        until(lambda: metrics.images.get("enhanced") == 4, thread)
    finally:
        stop.set()
        thread.join(timeout=120)
    assert not thread.is_alive()
    assert (metrics.worked, metrics.removed) == (5, 1)
    content = stored(empty_bucket, "results/out")
    assert [row["image_id"] for row in rows_of(content)] == [
        "a.png",
        "left/b.png",
        "c.png",
        "d.png",
    ]
    assert content[".magenet.lock"] == RELEASED
    assert read_status(location_of(OUT)).complete
    assert run_job(OPTIONS, enhancer_factory=fake_factory).worked == 0, "as enhance does"


def test_a_service_that_is_killed_and_started_again_repeats_nothing(empty_bucket, endpoint):
    """Processes of their own, with the command line; broken files need no network."""
    words = ["watch", INBOX, "-o", OUT, "--every", "1", "--workers", "0", "--gpus", "0"]

    def start() -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-m", "magenet_batch", *words],
                                stderr=subprocess.PIPE, text=True)  # fmt: skip

    def wait_for(images: int, process: subprocess.Popen) -> None:
        deadline = time.monotonic() + 120
        while len(rows_of(stored(empty_bucket, "results/out"))) < images:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.2)

    (location_of(INBOX) / "one.png").write_bytes(b"no image")
    process = start()
    try:
        wait_for(1, process)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        first = stored(empty_bucket, "results/out")["rows/part-000000.parquet"]
        (location_of(INBOX) / "two.png").write_bytes(b"no image")
        process = start()
        wait_for(2, process)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == EXIT_DONE, said
    content = stored(empty_bucket, "results/out")
    assert content["rows/part-000000.parquet"] == first
    assert content[".magenet.lock"] == RELEASED
    assert [row["reason"] for row in rows_of(content)] == ["not_an_image", "not_an_image"]
