"""A whole job, inline, on tiny images."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jobs_fakes import FakeEnhancement, FakeEnhancer, fake_factory, outputs, write_image

from magenet_batch.errors import JobError, StorageError, UsageError, WeightsError
from magenet_batch.jobs.run import run_job
from magenet_batch.records.schema import COLUMN_NAMES, TIMING_COLUMNS
from magenet_batch.storage.atomic import refused


def rows(out: Path) -> list[dict]:
    files = sorted((out / "rows").glob("part-*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def same_rows(a: list[dict], b: list[dict]) -> bool:
    def bare(row: dict) -> dict:
        return {k: v for k, v in row.items() if k not in TIMING_COLUMNS}

    return [bare(r) for r in a] == [bare(r) for r in b]


def test_every_image_gets_an_output_and_a_row(options, archive, tmp_path):
    summary = run_job(options(), enhancer_factory=fake_factory)
    out = tmp_path / "out"
    assert summary.exit_code == 0
    assert summary.counts.by_status == {"enhanced": 9}
    assert sorted(outputs(out)) == sorted(
        p.relative_to(archive).as_posix() for p in archive.rglob("*") if p.is_file()
    )
    found = rows(out)
    assert [r["image_id"] for r in found][:2] == ["a.jpg", "a.png"]
    assert all(set(COLUMN_NAMES) <= r.keys() for r in found)
    assert all(r["enhance_s"] is not None and r["write_s"] is not None for r in found)
    assert found[0]["weights"] == "fake"
    assert found[0]["sharpness_before"] is not None and found[0]["change"] is not None
    assert not list(out.rglob("*.tmp")) and not (out / ".magenet.lock").exists()


def test_again_there_is_nothing_to_do(options, tmp_path):
    run_job(options(), enhancer_factory=fake_factory)
    before = (tmp_path / "out" / "run.json").read_bytes()

    def never(device, threads):
        raise AssertionError("no network is needed")

    never.__qualname__ = fake_factory.__qualname__
    summary = run_job(options(), enhancer_factory=never)
    assert summary.worked == 0 and "Nothing to do" in summary.text()
    assert (tmp_path / "out" / "run.json").read_bytes() == before


def test_bad_images_become_rows(options, archive, tmp_path):
    (archive / "empty.jpg").write_bytes(b"")
    (archive / "text.jpg").write_text("not an image")
    whole = (archive / "left" / "eye.jpg").read_bytes()
    (archive / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    (archive / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    summary = run_job(options(), enhancer_factory=fake_factory)
    reasons = {r["image_id"]: r["reason"] for r in rows(tmp_path / "out") if r["reason"]}
    assert reasons == {
        "empty.jpg": "empty",
        "gone.jpg": "unreadable",
        "text.jpg": "not_an_image",
        "torn.jpg": "corrupt",
    }
    assert summary.exit_code == 3 and summary.counts.by_status["enhanced"] == 9
    assert len(outputs(tmp_path / "out")) == 9
    assert "--retry-failed" in summary.text()


class Moody(FakeEnhancer):
    """Fails in a different way for each image of the folder `many`."""

    def enhance(self, pixels, fov, *, cancelled=lambda: False):
        kind = self.calls = getattr(self, "calls", -1) + 1
        if kind == 0:
            raise MemoryError
        if kind == 1:
            raise RuntimeError("something\nodd")
        if kind == 2:
            return FakeEnhancement(np.full(pixels.shape, np.nan, np.float32))
        return super().enhance(pixels, fov)


def test_what_the_network_does_wrong_becomes_a_row(options, tmp_path):
    summary = run_job(
        options(include=("many/*",)), enhancer_factory=lambda device, threads: Moody()
    )
    found = rows(tmp_path / "out")
    assert [r["reason"] for r in found] == ["error", "error", "non_finite", None]
    assert found[1]["message"] == "RuntimeError: something odd"
    assert found[1]["width"] == 96 and found[1]["output"] is None
    assert summary.exit_code == 3


def test_retry_failed_works_on_nothing_else(options, archive, tmp_path):
    good = (archive / "a.jpg").read_bytes()
    (archive / "a.jpg").write_bytes(b"x" * len(good))
    run_job(options(), enhancer_factory=fake_factory)
    (archive / "a.jpg").write_bytes(good)
    assert run_job(options(), enhancer_factory=fake_factory).exit_code == 3
    summary = run_job(options(retry_failed=True), enhancer_factory=fake_factory)
    assert (summary.exit_code, summary.worked) == (0, 1)
    fresh = options(out=str(tmp_path / "fresh"))
    run_job(fresh, enhancer_factory=fake_factory)
    both = rows(tmp_path / "out"), rows(tmp_path / "fresh")
    assert both[0][0].pop("source_version") != both[1][0].pop("source_version"), "as planned"
    assert same_rows(*both)
    assert outputs(tmp_path / "out") == outputs(tmp_path / "fresh")


class Stopping(FakeEnhancer):
    """Asks for a stop at its third image."""

    stop = threading.Event()
    calls = 0

    def enhance(self, pixels, fov, *, cancelled=lambda: False):
        Stopping.calls += 1
        if Stopping.calls == 3:
            Stopping.stop.set()
        return super().enhance(pixels, fov)


def test_interrupted_and_resumed_gives_the_same_bytes(options, tmp_path):
    Stopping.stop.clear()
    factory = lambda device, threads: Stopping()  # noqa: E731
    factory.__qualname__ = fake_factory.__qualname__
    summary = run_job(options(), enhancer_factory=factory, stop=Stopping.stop)
    assert summary.interrupted and summary.exit_code == 130
    assert 0 < summary.counts.images < 9
    assert run_job(options(), enhancer_factory=fake_factory).exit_code == 0
    run_job(options(out=str(tmp_path / "fresh")), enhancer_factory=fake_factory)
    assert outputs(tmp_path / "out") == outputs(tmp_path / "fresh")
    assert same_rows(rows(tmp_path / "out"), rows(tmp_path / "fresh"))
    runs = json.loads((tmp_path / "out" / "run.json").read_text())["runs"]
    assert [r["how"] for r in runs] == ["interrupted", "finished"]


def test_changed_options_are_refused_with_the_difference(options):
    run_job(options(), enhancer_factory=fake_factory)
    with pytest.raises(UsageError, match=r"quality: not set -> 80[\s\S]*-o"):
        run_job(options(quality=80), enhancer_factory=fake_factory)


def test_a_changed_archive_is_refused_with_the_difference(options, archive):
    run_job(options(), enhancer_factory=fake_factory)
    write_image(archive / "new.jpg")
    (archive / "a.jpg").unlink()
    with pytest.raises(UsageError, match=r"1 images added: new.jpg\n.*1 images gone: a.jpg"):
        run_job(options(), enhancer_factory=fake_factory)


def test_a_missing_output_is_noticed_and_made_again(options, tmp_path):
    run_job(options(), enhancer_factory=fake_factory)
    (tmp_path / "out" / "images" / "a.png").unlink()
    with pytest.raises(JobError, match=r"a\.png.*missing"):
        run_job(options(), enhancer_factory=fake_factory)
    assert run_job(options(retry_failed=True), enhancer_factory=fake_factory).worked == 1


def test_a_full_disk_ends_the_job_and_spoils_no_row(options, tmp_path, monkeypatch):
    from magenet_batch.jobs.work import content

    def full(path, data, *, root, flush):
        raise refused(OSError(28, "No space left on device"), path, root=root)

    with monkeypatch.context() as patch:
        patch.setattr(content, "write_atomic", full)
        with pytest.raises(StorageError, match="out cannot be written to: No space left"):
            run_job(options(), enhancer_factory=fake_factory)
    assert run_job(options(), enhancer_factory=fake_factory).exit_code == 0


def test_manifest_columns_are_carried_through(archive, options, tmp_path):
    manifest = tmp_path / "list.parquet"
    table = {
        "Image_Path": ["right/eye.jpg", "a.png", "missing.jpg"],
        "camera": ["X", None, "Y"],
        "status": ["read", "unread", "read"],
        "visit": pa.array([1, 2, 3], pa.int16()),
    }
    pq.write_table(pa.table(table), manifest)
    summary = run_job(
        options(archive=(str(manifest),), root=str(archive)), enhancer_factory=fake_factory
    )
    found = rows(tmp_path / "out")
    assert [r["image_id"] for r in found] == table["Image_Path"]
    assert [r["camera"] for r in found] == ["X", None, "Y"]
    assert [r["visit"] for r in found] == [1, 2, 3]
    assert [r["manifest_status"] for r in found] == table["status"]
    assert [r["status"] for r in found] == ["enhanced", "enhanced", "failed"]
    assert summary.exit_code == 3
    schemas = {str(pq.read_schema(f)) for f in (tmp_path / "out" / "rows").iterdir()}
    assert len(schemas) == 1, "a shard of failures has the same column types"


def test_missing_weights_are_named_before_anything_is_written(options, tmp_path):
    with pytest.raises(WeightsError, match="no weights 'nosuch'"):
        run_job(options(weights="nosuch"))
    assert not (tmp_path / "out").exists()


def test_a_foreign_output_folder_is_refused(options, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.docx").write_text("years of work")
    with pytest.raises(UsageError, match=r"not empty.*thesis\.docx"):
        run_job(options(), enhancer_factory=fake_factory)


def test_resolution_reduces_the_output(options, tmp_path):
    run_job(options(resolution=64, include=("a.*",)), enhancer_factory=fake_factory)
    import cv2

    assert cv2.imread(str(tmp_path / "out" / "images" / "a.png")).shape == (64, 64, 3)
    assert rows(tmp_path / "out")[0]["width"] == 96
