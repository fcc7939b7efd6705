"""Archives that grow: as if the job had seen the whole archive at once."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import jobs_fakes
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jobs_fakes import FakeEnhancer, StopAt, fake_factory, outputs, rows, write_image

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_DONE, EXIT_SOME_FAILED, JobError, UsageError
from magenet_batch.jobs.engine.engine import Engine
from magenet_batch.jobs.ledger.status import read_status
from magenet_batch.jobs.plan import append, background
from magenet_batch.jobs.run import run_job
from magenet_batch.records.layout import GENERATIONS


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    jobs_fakes.measure_nothing(monkeypatch.setattr)


class Counting(FakeEnhancer):
    """Counts the images that it enhances."""

    images = 0

    def enhance(self, pixels, fov, *, cancelled=lambda: False):
        Counting.images += 1
        return super().enhance(pixels, fov)


def counting(device: str, threads: int) -> Counting:
    return Counting()


def grow(archive: Path) -> None:
    """Two new images, a changed one, one with another time only, and a removed one."""
    write_image(archive / "0-first.png", seed=50)
    write_image(archive / "new/eye.jpg", seed=51)
    write_image(archive / "left/eye.jpg", seed=52)
    os.utime(archive / "a.png", ns=(1, 1))
    (archive / "many/2.png").unlink()


def as_of_the_whole(options, tmp_path: Path, *, removed: tuple[str, ...] = ("many/2.png",)) -> None:
    """The output folder holds what one run over the archive of today gives."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    shutil.rmtree(whole, ignore_errors=True)
    run_job(options(out=str(whole)), enhancer_factory=fake_factory)
    here = {row["image_id"]: row for row in rows(out)}
    assert len(here) == len(rows(out)), "one row per image"
    gone = {key for key, row in here.items() if row["removed"]}
    assert gone == set(removed)
    bare = [{**r, "weights": None} for r in here.values() if r["image_id"] not in gone]
    expected = [{**row, "weights": None} for row in rows(whole)]
    assert sorted(map(repr, bare)) == sorted(map(repr, expected)), "NaN is NaN"
    made = {key: value for key, value in outputs(out).items() if key not in gone}
    assert made == outputs(whole)
    assert gone <= outputs(out).keys(), "outputs of removed images stay"
    assert not list(out.rglob("*.tmp"))
    assert read_status(out).complete


def test_new_and_changed_images_join_and_nothing_is_done_twice(options, archive, tmp_path):
    run_job(options(), enhancer_factory=fake_factory)
    grow(archive)
    said: list[str] = []
    Counting.images = 0
    summary = run_job(options(append=True), enhancer_factory=counting, say=said.append)
    assert (summary.exit_code, summary.images, summary.worked) == (EXIT_DONE, 11, 3)
    assert Counting.images == 3, "the image with another time is not enhanced again"
    text = "\n".join(said)
    assert "2 images new: 0-first.png, new/eye.jpg" in text
    assert "2 images changed: a.png, left/eye.jpg" in text
    assert "1 images removed from the archive; their outputs and rows stay: many/2.png" in text
    as_of_the_whole(options, tmp_path)
    again = run_job(options(append=True), enhancer_factory=counting)
    assert (again.worked, Counting.images) == (0, 3)
    assert run_job(options(), enhancer_factory=counting).worked == 0, "and without --append"
    assert len(list((tmp_path / "out" / GENERATIONS).iterdir())) == 1


def test_without_append_a_grown_archive_is_refused(options, archive):
    run_job(options(), enhancer_factory=fake_factory)
    write_image(archive / "new.png")
    with pytest.raises(UsageError, match=r"1 images added: new.png(.|\n)*--append"):
        run_job(options(), enhancer_factory=fake_factory)
    run_job(options(append=True), enhancer_factory=fake_factory)
    (archive / "new.png").unlink()
    with pytest.raises(UsageError, match=r"1 images gone: new.png"):
        run_job(options(), enhancer_factory=fake_factory)


@pytest.mark.parametrize("images", [1, 2, 3])
def test_an_interrupted_append_continues(options, archive, tmp_path, images):
    run_job(options(), enhancer_factory=fake_factory)
    grow(archive)
    stop = threading.Event()
    watch = StopAt(stop, images)
    given = options(append=True, shard_size=1)
    shutil.rmtree(tmp_path / "out")
    run_job(options(shard_size=1), enhancer_factory=fake_factory)
    write_image(archive / "later.png", seed=60)
    write_image(archive / "many/0.png", seed=61)
    write_image(archive / "many/1.png", seed=62)
    first = run_job(given, enhancer_factory=fake_factory, progress=watch, stop=stop)
    assert first.interrupted == (images < 3)
    second = run_job(given, enhancer_factory=fake_factory)
    assert first.worked + second.worked == 3
    as_of_the_whole(lambda **k: options(shard_size=1, **k), tmp_path, removed=())


def test_an_append_that_dies_after_planning_continues(options, archive, tmp_path, monkeypatch):
    run_job(options(), enhancer_factory=fake_factory)
    grow(archive)
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "run", lambda *given: (_ for _ in ()).throw(JobError("died")))
        with pytest.raises(JobError, match="died"):
            run_job(options(append=True), enhancer_factory=fake_factory)
    status = read_status(tmp_path / "out")
    assert (status.outdated, status.removed, status.complete) == (1, 1, False)
    run_job(options(append=True), enhancer_factory=fake_factory)
    as_of_the_whole(options, tmp_path)


def test_an_append_of_an_interrupted_job_completes_both(options, archive, tmp_path):
    stop = threading.Event()
    run_job(options(), enhancer_factory=fake_factory, progress=StopAt(stop, 3), stop=stop)
    write_image(archive / "0-first.png", seed=50)
    write_image(archive / "a.jpg", seed=51)
    write_image(archive / "right/eye.jpg", seed=52)
    run_job(options(append=True), enhancer_factory=fake_factory)
    as_of_the_whole(options, tmp_path, removed=())


def test_what_an_earlier_version_left_is_removed(options, archive, tmp_path):
    given = options(evidence=True)
    run_job(given, enhancer_factory=fake_factory)
    out = tmp_path / "out"
    assert (out / "evidence/a.png.jpg").is_file()
    (archive / "a.png").write_bytes(b"broken")
    given = options(evidence=True, append=True)
    assert run_job(given, enhancer_factory=fake_factory).exit_code == EXIT_SOME_FAILED
    assert not (out / "images/a.png").exists() and not (out / "evidence/a.png.jpg").exists()
    write_image(archive / "a.png", seed=7)
    assert run_job(given, enhancer_factory=fake_factory).exit_code == EXIT_DONE
    as_of_the_whole(lambda **k: options(evidence=True, **k), tmp_path, removed=())


def test_a_removed_image_that_returns_is_itself_again(options, archive, tmp_path):
    run_job(options(), enhancer_factory=fake_factory)
    away = tmp_path / "away.png"
    shutil.move(archive / "many/2.png", away)
    assert run_job(options(append=True), enhancer_factory=fake_factory).worked == 0
    assert read_status(tmp_path / "out").removed == 1
    shutil.move(away, archive / "many/2.png")
    assert run_job(options(append=True), enhancer_factory=counting).worked == 0
    as_of_the_whole(options, tmp_path, removed=())


def test_an_image_that_changed_while_it_was_away_is_enhanced_again(options, archive, tmp_path):
    run_job(options(), enhancer_factory=fake_factory)
    write_image(archive / "many/2.png", seed=70)
    moment = (archive / "many/2.png").stat().st_mtime_ns
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "run", lambda *given: (_ for _ in ()).throw(JobError("died")))
        with pytest.raises(JobError):
            run_job(options(append=True), enhancer_factory=fake_factory)
    (archive / "many/2.png").unlink()
    run_job(options(append=True), enhancer_factory=fake_factory)
    write_image(archive / "many/2.png", seed=70)
    os.utime(archive / "many/2.png", ns=(moment, moment))
    assert run_job(options(append=True), enhancer_factory=fake_factory).worked == 1
    as_of_the_whole(options, tmp_path, removed=())


def test_an_archive_that_is_not_mounted_removes_nothing(options, archive, tmp_path):
    run_job(options(), enhancer_factory=fake_factory)
    shutil.move(archive, tmp_path / "elsewhere")
    archive.mkdir()
    with pytest.raises(UsageError, match="Is it mounted"):
        run_job(options(append=True), enhancer_factory=fake_factory)
    assert read_status(tmp_path / "out").removed == 0
    write_image(archive / "today.png", seed=90)  # an inbox that was emptied, and filled again
    assert run_job(options(append=True), enhancer_factory=fake_factory).worked == 1
    assert read_status(tmp_path / "out").removed == 9


def test_a_folder_that_cannot_be_listed_removes_nothing(options, archive, tmp_path, monkeypatch):
    run_job(options(), enhancer_factory=fake_factory)
    real = os.scandir

    def scandir(path):
        if str(path).endswith("many"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    said: list[str] = []
    run_job(options(append=True), enhancer_factory=fake_factory, say=said.append)
    assert any("cannot be listed" in line for line in said)
    assert read_status(tmp_path / "out").removed == 0


@pytest.mark.slow
def test_local_workers_process_new_and_changed_images(options, archive, tmp_path):
    """Rows of changed images arrive in pieces from a process, new shards whole."""
    run_job(options(workers=None), enhancer_factory=fake_factory)
    grow(archive)
    summary = run_job(options(workers=None, append=True), enhancer_factory=fake_factory)
    assert (summary.worked, summary.exit_code) == (3, EXIT_DONE)
    as_of_the_whole(lambda **more: options(workers=None, **more), tmp_path)


def test_outputs_of_all_generations_may_not_collide(options, archive, tmp_path):
    run_job(options(), enhancer_factory=fake_factory)
    write_image(archive / "A.png", seed=3)
    with pytest.raises(UsageError, match="differ only in case"):
        run_job(options(append=True), enhancer_factory=fake_factory)
    assert not (tmp_path / "out" / GENERATIONS).exists()
    with pytest.raises(UsageError, match="exclude each other"):
        options(append=True, limit=3)


def test_failed_images_of_all_generations_are_retried(options, archive, tmp_path):
    good = (archive / "a.png").read_bytes()
    (archive / "a.png").write_bytes(b"x" * len(good))
    run_job(options(), enhancer_factory=fake_factory)
    new = write_image(archive / "zz.png", seed=80)
    good_new = new.read_bytes()
    new.write_bytes(b"x" * len(good_new))
    run_job(options(append=True), enhancer_factory=fake_factory)
    (archive / "a.png").write_bytes(good)
    new.write_bytes(good_new)
    summary = run_job(options(append=True, retry_failed=True), enhancer_factory=fake_factory)
    assert (summary.exit_code, summary.worked) == (EXIT_DONE, 2)
    as_of_the_whole(options, tmp_path, removed=())


def test_parts_of_a_growing_job(options, archive, tmp_path, monkeypatch):
    for number in (1, 2):
        run_job(options(part=f"{number}/2"), enhancer_factory=fake_factory)
    grow(archive)
    monkeypatch.setattr(append, "WAIT_FOR_PLAN_S", 0.0)
    said: list[str] = []
    second = options(part="2/2", append=True)
    assert run_job(second, enhancer_factory=fake_factory, say=said.append).worked == 0
    assert any("part 1 has not planned it" in line for line in said)
    for number in (1, 2):
        run_job(options(part=f"{number}/2", append=True), enhancer_factory=fake_factory)
    as_of_the_whole(options, tmp_path)
    assert read_status(tmp_path / "out").generations[0].number == 2


def test_of_very_many_images_new_ones_come_first(options, archive, tmp_path, monkeypatch):
    monkeypatch.setattr(append, "BESIDE_ABOVE", 1)
    monkeypatch.setattr(background, "HEAD_START_S", 0.0)
    run_job(options(), enhancer_factory=fake_factory)
    grow(archive)
    summary = run_job(options(append=True), enhancer_factory=fake_factory)
    assert (summary.worked, summary.before) == (3, 9)
    new, rest = read_status(tmp_path / "out").generations
    assert (new.new, new.changed, new.removed) == (2, 0, 0)
    assert (rest.new, rest.changed, rest.removed) == (0, 2, 1)
    as_of_the_whole(options, tmp_path)


def test_rows_follow_the_columns_of_a_manifest(options, archive, tmp_path):
    names = ["a.jpg", "a.png", "left/eye.jpg"]

    def listed(**columns) -> str:
        path = tmp_path / "eyes.parquet"
        pq.write_table(pa.table({"path": [str(archive / n) for n in names], **columns}), path)
        return str(path)

    given = {"archive": (listed(eye=["l", None, "r"], dose=[1.0, float("nan"), 2.0]),),
             "root": str(archive)}  # fmt: skip
    run_job(options(**given), enhancer_factory=counting)
    Counting.images = 0
    names.append("many/0.png")
    listed(eye=["l", "r", "r", "l"], dose=[1.0, float("nan"), 2.0, None])
    assert run_job(options(**given, append=True), enhancer_factory=counting).worked == 1
    assert Counting.images == 1
    as_of_the_whole(lambda **k: options(**(given | k)), tmp_path, removed=())
    listed(eye=["l", "r", "r", "l"])
    with pytest.raises(UsageError, match="columns are not those"):
        run_job(options(**given, append=True), enhancer_factory=fake_factory)


def test_through_the_command_line(archive, tmp_path, capsys):
    out = str(tmp_path / "out")
    given = ["assess", str(archive), "-o", out, "--workers", "0", "--append"]
    assert main(given) == EXIT_DONE
    grow(archive)
    assert main(given) == EXIT_DONE
    assert "2 images new" in capsys.readouterr().err
    assert main(["status", out]) == EXIT_DONE
    said = capsys.readouterr().out
    assert "1 image was removed from the archive" in said
    assert "generation 2, planned 20" in said and ": 2 new, 2 changed, 1 removed" in said
    assert main(["status", out, "--json"]) == EXIT_DONE
    status = json.loads(capsys.readouterr().out)
    assert (status["state"], status["outdated"], status["removed"]) == ("complete", 0, 1)
    assert status["generations"][0]["new"] == 2
    assert main(["report", out, "--format", "json"]) == EXIT_DONE
