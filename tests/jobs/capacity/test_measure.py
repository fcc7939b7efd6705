"""A sample is processed for real."""

from __future__ import annotations

import time

import pytest
from jobs_fakes import FakeEnhancer, write_image

from magenet_batch.errors import JobError
from magenet_batch.jobs.capacity.measure import measure_sample
from magenet_batch.jobs.capacity.sample import sample_of
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.plan import make_plan

PAUSE = 0.2


class SlowEnhancer(FakeEnhancer):
    def enhance(self, pixels, fov, *, cancelled=lambda: False):
        time.sleep(PAUSE)
        return super().enhance(pixels, fov)


def slow_factory(device: str, threads: int) -> SlowEnhancer:
    time.sleep(1.0)  # the start of a worker is no part of its rate
    return SlowEnhancer()


def measured(archive, *, images: int, workers: int = 0):
    options = JobOptions(archive=(str(archive),), policy="all", gpus=0)
    sample = sample_of(make_plan(options), images=images)
    return measure_sample(options, sample, workers=workers, enhancer_factory=slow_factory)


def test_the_rate_is_that_of_steady_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed in range(16):
        write_image(tmp_path / "archive" / f"{seed}.png", seed=seed)
    began = time.monotonic()
    found = measured(tmp_path / "archive", images=16)
    whole = 16 / (time.monotonic() - began)
    assert found is not None
    assert (found.images, found.failed) == (16, 0)
    assert whole < found.images_per_second <= 1.02 / PAUSE
    assert found.start_seconds > 1
    assert found.bytes_per_image > 1000
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]  # nothing is left


def test_images_that_fail_are_counted(tmp_path):
    for seed in range(11):
        write_image(tmp_path / f"{seed}.png", seed=seed)
    (tmp_path / "broken.png").write_bytes(b"no image")
    found = measured(tmp_path, images=12)
    assert found is not None
    assert (found.images, found.failed) == (12, 1)


def test_no_rate_comes_from_images_that_all_fail(tmp_path):
    for name in "abcdefghij":
        (tmp_path / f"{name}.png").write_bytes(name.encode())
    with pytest.raises(JobError, match="None of the 10 sampled images"):
        measured(tmp_path, images=10)


def test_a_sample_must_keep_every_worker_busy(tmp_path):
    write_image(tmp_path / "alone.png")
    with pytest.raises(JobError, match="Give --sample a larger number"):
        measured(tmp_path, images=1)
