"""Rows beside the images: always those of the rows files, and mended like outputs."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from pathlib import Path

import jobs_fakes
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jobs_fakes import StopAt, fake_factory, rows, write_image

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_DONE, JobError
from magenet_batch.jobs.check.look import ledger_of
from magenet_batch.jobs.check.verify import verify
from magenet_batch.jobs.run import run_job
from magenet_batch.records.layout import CARD, sidecar_name
from magenet_batch.records.sidecar import sidecar_content


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    jobs_fakes.measure_nothing(monkeypatch.setattr)


@pytest.fixture
def given(options):
    return lambda **more: options(sidecar="json", **more)


def sidecars(out: Path) -> dict[str, dict]:
    found = [json.loads(p.read_text()) for p in (out / "images").rglob("*.magenet.json")]
    return {row["image_id"]: row for row in found}


def is_right(out: Path) -> None:
    assert sidecars(out) == {row["image_id"]: row for row in rows(out)}
    assert verify(out, threads=1).findings == []


def test_every_row_lies_beside_its_image(given, archive, tmp_path):
    (archive / "broken.png").write_bytes(b"x")
    run_job(given(), enhancer_factory=fake_factory)
    out = tmp_path / "out"
    is_right(out)
    assert (out / "images/left/eye.jpg.magenet.json").is_file()
    assert sidecars(out)["broken.png"]["reason"] == "not_an_image", "also without an output"
    run_job(given(out=str(tmp_path / "again")), enhancer_factory=fake_factory)
    for path in (out / "images").rglob("*.json"):
        other = tmp_path / "again" / path.relative_to(out)
        assert other.read_bytes() == path.read_bytes()


def test_without_the_option_there_are_none(options, tmp_path):
    run_job(options(), enhancer_factory=fake_factory)
    assert sidecars(tmp_path / "out") == {}


def test_they_follow_a_growing_archive_and_changed_rows(given, archive, tmp_path):
    out = tmp_path / "out"
    stop = threading.Event()
    run_job(given(), enhancer_factory=fake_factory, progress=StopAt(stop, 3), stop=stop)
    run_job(given(), enhancer_factory=fake_factory)
    write_image(archive / "new.png", seed=30)
    write_image(archive / "a.png", seed=31)
    (archive / "many/2.png").unlink()
    run_job(given(append=True), enhancer_factory=fake_factory)
    assert sidecars(out)["many/2.png"]["removed"]
    is_right(out)
    ledger_of(out).change(0, {1: {"flags": ["new_lesion"]}})
    is_right(out)
    assert [row["flags"] for row in sidecars(out).values()].count(["new_lesion"]) == 1


def test_missing_and_damaged_ones_are_found_and_mended(given, tmp_path):
    out = tmp_path / "out"
    run_job(given(), enhancer_factory=fake_factory)
    (out / "images/a.png.magenet.json").unlink()
    with pytest.raises(JobError, match=r"images/a.png.magenet.json: the file is missing"):
        run_job(given(), enhancer_factory=fake_factory)
    (out / "images/a.jpg.magenet.json").write_text("{}")
    found = {one.image_id: one.what for one in verify(out, threads=1, set_aside=True).findings}
    assert found == {"a.png": "sidecar_missing", "a.jpg": "sidecar_damaged"}
    summary = run_job(given(retry_failed=True), enhancer_factory=fake_factory)
    assert (summary.exit_code, summary.worked) == (EXIT_DONE, 0), "nothing is enhanced again"
    is_right(out)


def test_values_that_json_cannot_have(given, archive, tmp_path):
    values = {"dose": [float("nan")], "when": pa.array([datetime(2026, 1, 2)]), "raw_id": [b"\xff"]}
    path = tmp_path / "eyes.parquet"
    pq.write_table(pa.table({"path": [str(archive / "a.png")], **values}), path)
    run_job(given(archive=(str(path),), root=str(archive)), enhancer_factory=fake_factory)
    row = sidecars(tmp_path / "out")["a.png"]
    assert (row["dose"], row["when"], row["raw_id"]) == (None, "2026-01-02 00:00:00.000000", "ff")
    assert verify(tmp_path / "out", threads=1).findings == []


def test_content_is_one_column_a_line_without_timings():
    text = sidecar_content({"image_id": "ä", "read_s": 1.0, "fidelity": 0.5, "flags": ["a"]})
    assert json.loads(text) == {"image_id": "ä", "fidelity": 0.5, "flags": ["a"]}
    assert "ä".encode() in text and text.endswith(b"}\n")
    assert len(sidecar_name("x/" + "ö" * 125 + ".jpg").rpartition("/")[2].encode()) <= 255


def test_the_data_card_reads_the_rows(given, tmp_path):
    out = tmp_path / "out"
    run_job(given(), enhancer_factory=fake_factory)
    content = (out / CARD).read_bytes()
    run_job(given(retry_failed=True), enhancer_factory=fake_factory)
    assert (out / CARD).read_bytes() == content
    croissant = pytest.importorskip("mlcroissant")
    dataset = croissant.Dataset(jsonld=str(out / CARD))
    assert not dataset.metadata.ctx.issues.errors


def test_through_the_command_line(archive, tmp_path, monkeypatch):
    from magenet_batch.jobs import run

    monkeypatch.setattr(run, "load_enhancer", lambda device, threads, **how: fake_factory("", 0))
    out = tmp_path / "out"
    words = ["enhance", str(archive), "-o", str(out), "--workers", "0", "--gpus", "0"]
    assert main([*words, "--policy", "all", "--sidecar", "json"]) == EXIT_DONE
    assert len(sidecars(out)) == 9
    assert main(["verify", str(out)]) == EXIT_DONE
