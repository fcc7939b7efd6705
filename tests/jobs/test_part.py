"""Parts of a job side by side, and its status: what schedulers without Ray need."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jobs_fakes import fake_factory, outputs, rows

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_DONE, EXIT_USAGE, JobError, UsageError
from magenet_batch.jobs.ledger.lock import job_lock
from magenet_batch.jobs.ledger.status import read_status
from magenet_batch.jobs.run import run_job
from magenet_batch.records.part import Part
from magenet_batch.records.run_info import read_run


def test_the_parts_together_are_the_job(options, tmp_path):
    whole = options(out=str(tmp_path / "whole"))
    run_job(whole, enhancer_factory=fake_factory)
    worked = 0
    for number in (3, 1, 2):  # in any order
        part = options(part=f"{number}/3")
        summary = run_job(part, enhancer_factory=fake_factory)
        assert summary.exit_code == EXIT_DONE
        worked += summary.worked
    assert worked == 9
    out = tmp_path / "out"
    assert outputs(out) == outputs(tmp_path / "whole")
    assert rows(out) == rows(tmp_path / "whole")
    assert read_run(out).runs == 3
    again = run_job(options(part="2/3"), enhancer_factory=fake_factory)
    assert again.worked == 0
    assert run_job(options(), enhancer_factory=fake_factory).worked == 0


def test_more_parts_than_shards_leave_some_with_nothing(options):
    for number in range(1, 8):
        summary = run_job(options(part=f"{number}/7"), enhancer_factory=fake_factory)
        assert summary.exit_code == EXIT_DONE
    assert read_status(options().out_path).complete


def test_a_sibling_with_other_options_is_refused(options):
    run_job(options(part="1/3"), enhancer_factory=fake_factory)
    with pytest.raises(UsageError, match="quality: not set -> 80"):
        run_job(options(part="2/3", quality=80), enhancer_factory=fake_factory)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2", ""])
def test_a_part_that_is_none_is_said(text: str):
    with pytest.raises(UsageError, match="such as 3/8"):
        Part.parse(text)


HOLD = """
import sys, time
from pathlib import Path
from magenet_batch.jobs.ledger.lock import job_lock
from magenet_batch.records.part import Part
with job_lock(Path(sys.argv[1]), part=Part.parse(sys.argv[2]) if sys.argv[2] else None):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def hold(tmp_path: Path):
    """Hold locks in processes of their own."""
    started = []

    def start(part: str) -> None:
        words = [sys.executable, "-c", HOLD, str(tmp_path), part]
        process = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        started.append(process)

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_siblings_work_side_by_side_and_nobody_else(tmp_path: Path, hold):
    hold("1/3")
    with job_lock(tmp_path, part=Part(2, 3)):
        pass
    for part in (None, Part(1, 2), Part(1, 3)):
        with pytest.raises(JobError, match="Another job is running"), job_lock(tmp_path, part=part):
            pass
    assert not list(tmp_path.glob(".magenet.lock")), "who is refused leaves nothing"


def test_parts_wait_for_a_whole_job(tmp_path: Path, hold):
    hold("")
    with (
        pytest.raises(JobError, match="Another job is running"),
        job_lock(tmp_path, part=Part(1, 3)),
    ):
        pass


def test_status_tells_what_is_done_and_changes_nothing(options, tmp_path, capsys):
    out = tmp_path / "out"
    run_job(options(part="1/2"), enhancer_factory=fake_factory)
    # The data card describes the whole folder: each part writes it again.
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.name != "croissant.json"}
    half = read_status(out)
    assert half.state == "killed" or not half.complete
    assert half.images == 9
    assert 0 < half.counts.images < 9
    assert main(["status", str(out)]) == EXIT_DONE
    assert "of 9 images done" in capsys.readouterr().out
    with job_lock(out, part=Part(2, 2)):
        running = read_status(out)
        assert running.state == "running"
        assert running.running[0]["pid"] == os.getpid()
    run_job(options(part="2/2"), enhancer_factory=fake_factory)
    assert main(["status", str(out), "--json"]) == EXIT_DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["state"], told["done"], told["enhanced"]) == ("complete", 9, 9)
    assert all(p.stat().st_mtime_ns == t for p, t in before.items() if p.is_file())


def test_a_folder_without_a_job_has_no_status(tmp_path, capsys):
    assert main(["status", str(tmp_path)]) == EXIT_USAGE
    assert "no job in this folder" in capsys.readouterr().err
