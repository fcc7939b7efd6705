"""Short soaks, and what a soak must notice; `tools/soak.py` runs long ones."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

TOOLS = Path(__file__).parent.parent.parent / "tools"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(TOOLS), *sys.path])
    return importlib.import_module("soak")


def samples(*, mib_per_hour: float = 0.0, handles_per_hour: float = 0.0) -> np.ndarray:
    """An hour of a job, every minute: 100 images a second."""
    seconds = np.arange(0, 3601, 60.0)
    hours = seconds / 3600
    handles = 9 + np.floor(handles_per_hour * hours)
    threads = np.full(len(hours), 7)
    return np.stack([seconds, 100 * seconds, 500 + mib_per_hour * hours, handles, threads], 1)


def test_a_steady_job_is_steady_and_a_leak_is_not(tool):
    found = tool.judged(samples())
    assert found["steady"] and found["last_quarter"]["images_per_s"] == pytest.approx(100)
    assert not tool.judged(samples(mib_per_hour=200))["steady"]
    assert not tool.judged(samples(handles_per_hour=30))["steady"]
    with pytest.raises(SystemExit, match="too short"):
        tool.judged(samples()[:5])


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
def test_a_short_soak_of_the_service_under_a_killer(tool, tmp_path):
    found = tool.soak_watch(tmp_path, images=60, minutes=2, seed=5)
    assert found["arrived"] >= 60 and sum(found["killed"].values()) >= 1
    assert (found["differences"], found["exit_code"]) == ([], 0)
    (tmp_path / "out/images" / next((tmp_path / "out/images").iterdir()).name).write_bytes(b"x")
    assert tool.differences(tmp_path / "out", tmp_path / "whole") == ["outputs"]
