"""The small parts of a job: lock, machine, retries, options, rows."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError

from magenet_batch.errors import JobError, UsageError
from magenet_batch.jobs.engine.machine import allocate_workers
from magenet_batch.jobs.engine.progress import duration
from magenet_batch.jobs.engine.retry import must_be_alone, next_units
from magenet_batch.jobs.ledger.ledger import sweep
from magenet_batch.jobs.ledger.lock import STALE_AFTER_S, job_lock
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.policy import flags_for
from magenet_batch.jobs.work.worker import WorkUnit
from magenet_batch.records.layout import lock_name
from magenet_batch.records.rows import rows_table

HOLD = """
import sys, time
from pathlib import Path
from magenet_batch.jobs.ledger.lock import job_lock
with job_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_job_is_refused_while_the_first_lives(tmp_path: Path):
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert first.stdout is not None and first.stdout.readline() == "held\n"
        with pytest.raises(JobError, match=rf"process {first.pid} on"), job_lock(tmp_path):
            pass
    finally:
        first.kill()
        first.wait()
    assert (tmp_path / lock_name(None)).exists(), "a crash leaves the file"
    with job_lock(tmp_path):
        assert json.loads((tmp_path / lock_name(None)).read_text())["pid"] == os.getpid()
    assert not (tmp_path / lock_name(None)).exists()


def test_a_lock_of_another_host_ends_by_itself(tmp_path: Path):
    lock = tmp_path / lock_name(None)
    lock.write_text(json.dumps({"pid": 1, "host": socket.gethostname() + "-other"}))
    with pytest.raises(JobError, match="other"), job_lock(tmp_path):
        pass
    old = time.time() - STALE_AFTER_S - 1
    os.utime(lock, (old, old))
    with job_lock(tmp_path):
        pass


@pytest.mark.parametrize(
    ("workers", "gpus", "expected"),
    [
        (8, 4, (8, 4, 0.5, 2)),
        (3, 2, (3, 2, 0.5, 5)),
        (6, 2, (6, 2, 0.3333, 2)),
        (2, 0, (2, 0, 0.0, 8)),
        (0, 0, (0, 0, 0.0, 16)),
        (0, 1, (0, 1, 1.0, 16)),
        (None, None, (4, 4, 1.0, 4)),
        (2, None, (2, 2, 1.0, 8)),
        (40, 0, (40, 0, 0.0, 1)),
    ],
)
def test_a_machine_is_divided(workers, gpus, expected):
    found = allocate_workers(workers=workers, gpus=gpus, images=100, cpus=16, gpus_there=4)
    assert tuple(found)[:4] == expected
    assert found.executor == ("ray" if found.workers else "inline")


def test_gpus_that_are_not_there_are_an_error():
    with pytest.raises(UsageError, match=r"--gpus 4: there is none.*--gpus 0"):
        allocate_workers(workers=8, gpus=4, images=9, cpus=2, gpus_there=0)
    with pytest.raises(UsageError, match="--workers 4 or more"):
        allocate_workers(workers=2, gpus=4, images=9, cpus=2, gpus_there=4)


def test_retries_halve_until_the_image_is_alone():
    unit = WorkUnit(3, (0, 1, 2), whole=True)
    (again,) = next_units(unit)
    assert again.whole and again.tries == 2 and not again.suspect
    halves = next_units(again)
    assert [h.positions for h in halves] == [(0,), (1, 2)]
    assert all(h.suspect and not h.whole for h in halves)
    (second,) = next_units(halves[0])
    (third,) = next_units(second)
    assert must_be_alone(third) and not must_be_alone(second) and next_units(third) == []


def test_options_are_strict():
    assert JobOptions(archive=("x",)).out == "out"
    for wrong in ({"worker": 2}, {"workers": "2"}, {"quality": 101}, {"archive": ()}):
        with pytest.raises(ValidationError):
            JobOptions(**({"archive": ("x",)} | wrong))


def test_workers_and_gpus_may_change_between_runs():
    a = JobOptions(archive=("x",), workers=1, gpus=0, retry_failed=True).identity("h")
    assert a == JobOptions(archive=("x",), workers=9).identity("h")
    assert a != JobOptions(archive=("x",)).identity("other weights")


def test_flags_come_from_measures_and_null_raises_none():
    assert flags_for({"vessel_new": None}) == []
    assert flags_for({"vessel_new": 0.9, "structure_agreement": 0.1}) == [
        "new_vessels",
        "low_agreement",
    ]


def test_undefined_is_null_and_unknown_columns_are_refused():
    empty = pa.table({"n": [1]})
    table = rows_table([{"image_id": "a", "noise_before": float("nan"), "flags": []}], empty)
    assert table["noise_before"].to_pylist() == [None] and table["n"].to_pylist() == [1]
    with pytest.raises(KeyError, match="nosuch"):
        rows_table([{"nosuch": 1}], empty)


def test_what_killed_writers_leave_is_swept(tmp_path: Path):
    from magenet_batch.records.layout import TEMPORARY_GLOB

    left = tmp_path / TEMPORARY_GLOB.replace("*", "a.jpg")
    left.touch()
    (tmp_path / "a.jpg").touch()
    assert sweep([tmp_path, tmp_path / "nowhere"]) == 1 and not left.exists()
    assert (tmp_path / "a.jpg").exists()


def test_durations_are_for_people():
    assert [duration(s) for s in (8, 185, 7800, 273600)] == [
        "8 s",
        "3 min 05 s",
        "2 h 10 min",
        "3 d 4 h",
    ]
