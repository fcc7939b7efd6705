"""Measuring again: rows become what the job would write today, and nothing else changes."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jobs_fakes import FakeEnhancer, StopAt, outputs, rows, write_image

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_SOME_FAILED
from magenet_batch.jobs import run
from magenet_batch.jobs.check.look import ledger_of
from magenet_batch.jobs.check.remeasure import remeasure
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.work import measuring
from magenet_batch.records.layout import REMEASURE

OLD = {"grade_after": "reject", "contrast_after": 9.0, "fidelity": 0.0, "vessel_new": 0.9,
       "flags": ["new_vessels"], "good_before": 0.0, "version": "0"}  # fmt: skip


class Detecting(FakeEnhancer):
    """Finds the same vessels again."""

    def vessels(self, pixels, fov):
        return self.enhance(pixels, fov).vessels_before


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobOptions:
    """A finished job on four images without loss, and one that is broken."""
    for seed in range(4):
        write_image(tmp_path / f"in/{seed}.png", seed=seed)
    (tmp_path / "in/torn.png").write_bytes(b"no image")
    monkeypatch.setattr(run, "load_enhancer", lambda device, threads, **how: Detecting())
    made = JobOptions(archive=(str(tmp_path / "in"),), out=str(tmp_path / "out"), workers=0,
                      gpus=0, shard_size=2, policy="all")  # fmt: skip
    run.run_job(made, enhancer_factory=lambda device, threads: Detecting())
    return made


def age(job: JobOptions) -> None:
    """Make all rows those of another version of the measures."""
    ledger = ledger_of(job.out_path)
    for shard in ledger.done():
        status = ledger.read(shard, columns=["status"])["status"].to_pylist()
        ledger.change(shard, {p: OLD for p, s in enumerate(status) if s != "failed"})


def test_rows_become_those_of_today(job, tmp_path):
    expected, images = rows(tmp_path / "out"), outputs(tmp_path / "out")
    age(job)
    assert rows(tmp_path / "out") != expected
    result = remeasure(job.out_path, threads=2)
    assert rows(tmp_path / "out") == expected
    assert outputs(tmp_path / "out") == images
    changed = sum(row["grade_after"] not in (None, OLD["grade_after"]) for row in expected)
    assert (result.exit_code, result.images, result.grades_changed) == (EXIT_DONE, 5, changed)
    assert changed > 0
    assert not (tmp_path / "out" / REMEASURE).exists()
    again = remeasure(job.out_path, threads=1)
    assert (again.images, again.flags_changed) == (5, 0), "each call measures again"


def test_flags_follow_new_limits(job, tmp_path, monkeypatch):
    def stricter(row):
        return ["colour_shift"]

    monkeypatch.setattr(measuring, "flags_for", stricter)
    monkeypatch.setattr("magenet_batch.jobs.check.remeasure.flags_for", stricter)
    assert remeasure(job.out_path, threads=2).flags_changed == 4
    flags = {row["image_id"]: row["flags"] for row in rows(tmp_path / "out")}
    assert flags == {**{f"{n}.png": ["colour_shift"] for n in range(4)}, "torn.png": []}


@pytest.mark.parametrize("images", [1, 3])
def test_an_interruption_resumes_shard_by_shard(job, tmp_path, images):
    expected = rows(tmp_path / "out")
    age(job)
    stop = threading.Event()
    first = remeasure(job.out_path, threads=1, progress=StopAt(stop, images), stop=stop)
    assert (first.exit_code, first.images) == (EXIT_INTERRUPTED, images + 1)
    said: list[str] = []
    second = remeasure(job.out_path, threads=1, say=said.append)
    assert f"5 rows, {images + 1} already measured again" in said[0]
    assert (second.exit_code, second.images) == (EXIT_DONE, 5)
    assert rows(tmp_path / "out") == expected


def test_images_that_cannot_be_measured_keep_their_rows(job, tmp_path):
    age(job)
    before = {row["image_id"]: row for row in rows(tmp_path / "out")}
    write_image(tmp_path / "in/0.png", seed=30)
    (tmp_path / "out/images/1.png").unlink()
    (tmp_path / "in/2.png").unlink()
    result = remeasure(job.out_path, threads=2)
    assert result.exit_code == EXIT_SOME_FAILED
    assert [line.partition(":")[0] for line in result.failed] == ["0.png", "1.png", "2.png"]
    after = {row["image_id"]: row for row in rows(tmp_path / "out")}
    assert {k for k in after if after[k] != before[k]} == {"3.png"}


def test_what_was_only_assessed_is_measured_as_then(tmp_path):
    for seed in range(2):
        write_image(tmp_path / f"in/{seed}.jpg", seed=seed, size=700)
    out = str(tmp_path / "out")
    assert main(["assess", str(tmp_path / "in"), "-o", out, "--workers", "0"]) == EXIT_DONE
    expected = rows(tmp_path / "out")
    assert main(["remeasure", out, "--threads", "1"]) == EXIT_DONE
    assert rows(tmp_path / "out") == expected


def test_columns_of_a_manifest_may_hold_what_python_cannot(tmp_path):
    write_image(tmp_path / "0.png")
    far = pa.array([300_000_000_000_000], pa.timestamp("s", "UTC"))
    pq.write_table(pa.table({"path": ["0.png"], "far": far}), tmp_path / "m.parquet")
    made = JobOptions(archive=(str(tmp_path / "m.parquet"),), out=str(tmp_path / "out"),
                      workers=0, gpus=0, assess=True)  # fmt: skip
    run.run_job(made)
    assert remeasure(made.out_path, threads=1).images == 1
    (table,) = (pq.read_table(file) for file in (tmp_path / "out/rows").glob("*.parquet"))
    assert table["far"].combine_chunks().cast(far.type).equals(far)


def test_through_the_command_line(job, tmp_path, capsys):
    assert main(["remeasure", str(tmp_path / "out"), "--json"]) == EXIT_DONE
    said = json.loads(capsys.readouterr().out)
    assert (said["images"], said["failed"], said["interrupted"]) == (5, [], False)
