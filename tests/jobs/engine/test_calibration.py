"""The number of workers is measured once, kept, and never in the way of a job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import local_fakes
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magenet_batch.cli.main import main
from magenet_batch.errors import JobError
from magenet_batch.jobs import run
from magenet_batch.jobs.engine import calibration, machine, trial
from magenet_batch.jobs.engine.calibration import (
    Calibration,
    Rate,
    Setting,
    calibrate,
    known_calibration,
)
from magenet_batch.jobs.engine.machine import allocate_workers
from magenet_batch.jobs.engine.trial import measure_rates, numbers_to_try
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.run import Weights, allocation_for, run_job, weights_of

SETTING = Setting(cpu="a processor", cores=4, weights="0" * 16, version="1", torch="2")
RATES = (
    Rate(workers=4, threads=1, images_per_second=2.0),
    Rate(workers=2, threads=2, images_per_second=3.0),
)
speeds = st.floats(min_value=1e-3, max_value=1e6)


@pytest.fixture
def path() -> Path:
    found = calibration.cache_path()
    assert found is not None
    return found


@pytest.fixture
def said() -> list[str]:
    return []


@given(st.integers(1, 256), st.integers(1, 256))
def test_trials_fit_the_machine_and_the_default_comes_first(cpus, most):
    numbers = numbers_to_try(cpus, most=most)
    assert numbers[0] == min(cpus, most)
    assert len(set(numbers)) == len(numbers) <= 3
    assert all(1 <= n <= min(cpus, most) for n in numbers)


@given(st.lists(speeds, min_size=1, max_size=3))
def test_another_number_must_be_clearly_faster(found):
    rates = tuple(Rate(workers=4 - k, threads=1, images_per_second=s) for k, s in enumerate(found))
    best = Calibration(setting=SETTING, rates=rates).best
    assert best in rates
    assert best.images_per_second >= max(found) / 1.05 * (1 - 1e-9)
    if best is not rates[0]:
        assert best.images_per_second == max(found) >= 1.05 * found[0] * (1 - 1e-9)


def test_what_was_measured_is_known_for_the_same_setting_only(said, path):
    assert known_calibration(SETTING, say=said.append) is None
    found = calibrate(SETTING, lambda: RATES, say=said.append)
    assert found is not None and found.best == RATES[1]
    assert "2 workers with 2 threads each: 3.00 images/s (4 workers with 1 thread" in said[-1]
    assert known_calibration(SETTING, say=said.append) == found
    for name, other in {"cpu": "another", "cores": 8, "weights": "1", "torch": "3"}.items():
        changed = SETTING.model_copy(update={name: other})
        assert known_calibration(changed, say=said.append) is None
        calibrate(changed, lambda: RATES[:1], say=said.append)
    assert known_calibration(SETTING, say=said.append) == found, "others replaced it"
    assert len(json.loads(path.read_text())["calibrations"]) == 5


def test_a_new_measurement_replaces_the_old_one(said, path):
    for rates in (RATES, RATES[:1]):
        calibrate(SETTING, lambda rates=rates: rates, say=said.append)
    assert known_calibration(SETTING, say=said.append).rates == RATES[:1]
    assert len(json.loads(path.read_text())["calibrations"]) == 1


def test_old_calibrations_are_dropped(said, path):
    for number in range(calibration._MOST + 3):
        changed = SETTING.model_copy(update={"weights": str(number)})
        calibrate(changed, lambda: RATES, say=lambda text: None)
    kept = json.loads(path.read_text())["calibrations"]
    assert len(kept) == calibration._MOST
    assert kept[-1]["setting"]["weights"] == str(calibration._MOST + 2)


def kept_as(path: Path, **changes: object) -> str:
    rate = {"workers": 4, "threads": 1, "images_per_second": 2.0} | changes
    return json.dumps({"calibrations": [{"setting": SETTING.model_dump(), "rates": [rate]}]})


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"\xff\xfe\x00", b'{"calibrations": 3}', b'{"other": []}',
        b'{"calibrations": [{}]}', kept_as(Path(), threads=2), kept_as(Path(), workers=0),
        kept_as(Path(), images_per_second=-1.0), kept_as(Path(), workers="4"),
    ],
)  # fmt: skip
def test_a_damaged_cache_is_ignored_with_one_line_and_replaced(content, said, path):
    path.parent.mkdir(parents=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert known_calibration(SETTING, say=said.append) is None
    (line,) = said
    assert str(path) in line and "holds no calibrations" in line and "\n" not in line
    found = calibrate(SETTING, lambda: RATES, say=said.append)
    said.clear()
    assert known_calibration(SETTING, say=said.append) == found
    assert said == []


def test_a_cache_that_cannot_be_written_costs_a_line(said, path):
    path.parent.parent.mkdir(parents=True)
    path.parent.write_text("a file in the place of the folder")
    found = calibrate(SETTING, lambda: RATES, say=said.append)
    assert found is not None and found.best == RATES[1]
    assert "not kept for the next job" in said[-1]
    assert not path.exists()


def test_a_folder_in_the_place_of_the_cache_is_ignored(said, path):
    path.mkdir(parents=True)
    assert known_calibration(SETTING, say=said.append) is None
    assert "cannot be read" in said[0]


def test_the_cache_is_where_the_desktop_keeps_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for unset in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        assert calibration.cache_path() == tmp_path / ".cache" / "magenet" / "calibration.json"

    def homeless():
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", homeless)
    assert calibration.cache_path() is None
    said: list[str] = []
    assert calibrate(SETTING, lambda: RATES, say=said.append) is not None
    assert known_calibration(SETTING, say=said.append) is None
    assert len(said) == 2, "nothing is kept, and nothing is said about it"


def test_a_failed_measurement_is_said_and_not_kept(said, path):
    def failing():
        raise JobError("its process was ended by SIGKILL")

    assert calibrate(SETTING, failing, say=said.append) is None
    assert said[-1] == "not measured: its process was ended by SIGKILL"
    assert not path.exists()


@pytest.mark.parametrize(("measured", "workers"), [(None, 8), (2, 2), (4, 4), (64, 8)])
def test_the_measured_number_of_workers_is_used(monkeypatch, measured, workers):
    monkeypatch.setattr(machine, "available_memory", lambda: 10**12)
    given = {"gpus": None, "images": 10**6, "cpus": 8, "gpus_there": 0, "measured": measured}
    found = allocate_workers(workers=None, **given)
    assert (found.workers, found.threads) == (workers, 8 // workers)
    assert allocate_workers(workers=3, **given).workers == 3, "what is asked for rules"
    assert allocate_workers(workers=None, **(given | {"images": 1})).workers == 1
    monkeypatch.setattr(machine, "available_memory", lambda: machine.WORKER_BYTES)
    assert allocate_workers(workers=None, **given).workers == 1


@pytest.fixture
def measured(monkeypatch):
    """Counts measurements, which find that one worker is fastest; the machine has two cores."""
    calls = []

    def measure(factory, *, cpus):
        calls.append(cpus)
        return (
            Rate(workers=2, threads=1, images_per_second=1.0),
            Rate(workers=1, threads=2, images_per_second=2.0),
        )

    monkeypatch.setattr(trial, "measure_rates", measure)
    monkeypatch.setattr(run, "cpu_count", lambda: 2)
    monkeypatch.setattr(machine, "WORKER_BYTES", 1)
    return calls


WEIGHTS = Weights("fake", "0" * 16, partial(local_fakes.slow, pause=0.0))


def workers_of(said: list[str] | None, *, images: int, **options: object) -> int:
    chosen = JobOptions(archive=("none",), **{"gpus": 0, **options})
    say = None if said is None else said.append
    return allocation_for(chosen, images=images, weights=WEIGHTS, say=say).workers


def test_a_long_job_measures_once(measured, said):
    assert workers_of(said, images=100) == 2 and not measured, "a short one does not"
    assert workers_of(said, images=10**6, workers=2) == 2 and not measured
    assess = JobOptions(archive=("none",), assess=True)
    allocation_for(assess, images=10**6, weights=weights_of(assess), say=said.append)
    assert not measured, "the network is what is measured"
    assert workers_of(None, images=10**6) == 2 and not measured, "nothing may be measured"
    assert said == []
    assert workers_of(said, images=10**6) == 1 and measured == [2]
    assert workers_of(said, images=10**6) == 1 and measured == [2]
    assert workers_of(None, images=100) == 1, "a short one uses what is known"
    assert workers_of(said, images=10**6, workers=2) == 2
    assert len(said) == 2


@pytest.mark.slow
def test_workers_are_timed_as_they_work(monkeypatch):
    monkeypatch.setattr(trial, "_SIZE", 128)
    slow = partial(local_fakes.slow, pause=0.6)  # mostly a pause: two get through twice as much
    first, second = measure_rates(slow, cpus=2, seconds=2.0)
    assert (first.workers, first.threads) == (2, 1)
    assert (second.workers, second.threads) == (1, 2)
    assert 0.3 < second.images_per_second < 1.2 / 0.6
    assert first.images_per_second > 1.3 * second.images_per_second


@pytest.mark.parametrize("factory", [local_fakes.broken, local_fakes.dies_at_once])
def test_workers_that_cannot_start_end_the_measurement(factory):
    with pytest.raises(JobError):
        measure_rates(factory, cpus=2, seconds=0.1)


def test_doctor_measures_again(measured, capsys):
    for _ in range(2):
        main(["doctor", "--calibrate", "--json"])
        out, err = capsys.readouterr()
        assert "1 worker with 2 threads each: 2.00 images/s" in err
        findings = {one["name"]: one["found"] for one in json.loads(out)}
        assert "1 Ray worker on CPU, 2 threads each" in findings["a large job gets"]
    assert len(measured) == 2


@pytest.mark.slow
def test_a_job_runs_with_what_was_measured(measured, monkeypatch, options, said):
    """From the command line's own entry to the record of the run, with the shipped weights."""
    monkeypatch.setattr(run, "_LONG_S", 0)
    done = run_job(options(workers=None, weights="small", limit=2), say=said.append)
    assert done.exit_code == 0 and measured == [2]
    assert any("1 local process on CPU, 2 threads each" in line for line in said)
    record = json.loads((Path(done.out) / "run.json").read_text())
    assert record["runs"][-1]["means"].startswith("1 local process")


@pytest.mark.slow
def test_the_command_measures_and_keeps_it(tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "magenet_batch", "doctor", "--calibrate"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert "images/s" in done.stderr, done.stderr
    (kept,) = json.loads((tmp_path / "magenet" / "calibration.json").read_text())["calibrations"]
    assert kept["rates"][0]["images_per_second"] > 0
