"""Short soaks, and what a soak must notice; `tools/soak.py` runs long ones."""

from __future__ import annotations

import numpy as np
import pytest

from magenet_batch.jobs.work import measuring


@pytest.fixture
def tool(load_tool):
    return load_tool("soak")


@pytest.fixture
def service(load_tool):
    return load_tool("soak_watch")


@pytest.fixture
def judged(load_tool):
    return load_tool("samples").judged


def samples(*, mib_per_hour: float = 0.0, handles_per_hour: float = 0.0) -> np.ndarray:
    """An hour of a job, every minute: 100 images a second."""
    seconds = np.arange(0, 3601, 60.0)
    hours = seconds / 3600
    handles = 9 + np.floor(handles_per_hour * hours)
    threads = np.full(len(hours), 7)
    return np.stack([seconds, 100 * seconds, 500 + mib_per_hour * hours, handles, threads], 1)


def test_a_steady_job_is_steady_and_a_leak_is_not(judged):
    found = judged(samples())
    assert found["steady"] and found["last_quarter"]["images_per_s"] == pytest.approx(100)
    assert not judged(samples(mib_per_hour=200))["steady"]
    assert not judged(samples(handles_per_hour=30))["steady"]
    with pytest.raises(SystemExit, match="too short"):
        judged(samples()[:5])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_short_soak_of_a_job(tool, tmp_path):
    found = tool.soak_job(tmp_path, images=3000, minutes=3, every=0.1)
    assert (found["exit_code"], found["done"], found["written"]) == (0, 3000, 3000)
    assert found["samples"] and found["peak_mib"] > 100
    tool.draw(found, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").stat().st_size > 1000


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_short_soak_of_the_service_under_a_killer(service, tmp_path):
    measure = measuring.assess_copy
    samples = service.Samples(lambda: service.written_in(tmp_path / "out"))
    found = service.soak_watch(
        tmp_path, samples=samples, images=10**6, minutes=0.7, seed=5, gap=(8, 12)
    )
    counts = [found[name] for name in ("rows", "done", "written")]
    assert counts == [found["arrived"]] * 3
    assert sum(found["killed"].values()) >= 2
    assert (found["differences"], found["exit_code"]) == ([], 0)
    assert measuring.assess_copy is measure, "later tests in this process measure as before"
    next((tmp_path / "out/images").iterdir()).write_bytes(b"x")
    assert service.differences(tmp_path / "out", tmp_path / "whole") == ["outputs"]
