"""Jobs whose outputs, rows and memory lie in an object store: a real S3 server on loopback."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from clusters import start, until
from jobs_fakes import FakeEnhancer, fake_factory, measure_nothing, outputs, write_image

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_DONE, JobError, UsageError
from magenet_batch.jobs.ledger.lock import job_lock
from magenet_batch.jobs.ledger.status import read_status
from magenet_batch.jobs.ledger.store_lock import RELEASED
from magenet_batch.jobs.review.apply import Review
from magenet_batch.jobs.run import run_job
from magenet_batch.records.part import Part
from magenet_batch.report.build import build_report
from magenet_batch.storage import StorePath, names_in

pytestmark = pytest.mark.slow
OUT = "s3://results/made/here"


def stored(files, below: str = "results/made/here") -> dict[str, bytes]:
    """Every object below a place by its relative name."""
    from pyarrow.fs import FileSelector, FileType

    found = files.get_file_info(FileSelector(below, recursive=True, allow_not_found=True))
    return {
        info.path.removeprefix(f"{below}/"): files.open_input_file(info.path).read()
        for info in found
        if info.type == FileType.File
    }


def rows_of(content: dict[str, bytes]) -> list[dict]:
    """All rows without their timings."""
    import pyarrow as pa

    tables = [pq.read_table(pa.BufferReader(content[name]))
              for name in sorted(content) if name.startswith("rows/")]  # fmt: skip
    rows = [row for table in tables for row in table.to_pylist()]
    return [{k: v for k, v in row.items() if not k.endswith("_s")} for row in rows]


def without_lock(content: dict[str, bytes]) -> dict[str, bytes]:
    """All but the lock object, which is never removed, and must say that nobody holds it."""
    assert content[".magenet.lock"] == RELEASED
    return {name: data for name, data in content.items() if name != ".magenet.lock"}


def folder_content(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def same_images(files, local: Path) -> None:
    found = stored(files)
    images = {k.removeprefix("images/"): v for k, v in found.items() if k.startswith("images/")}
    assert images == outputs(local)
    assert rows_of(found) == rows_of(folder_content(local))


def test_a_store_gets_what_a_folder_gets(empty_bucket, options, archive, tmp_path):
    (archive / "bad.png").write_bytes(b"no image")
    local = options(out=str(tmp_path / "local"), evidence=True)
    run_job(local, enhancer_factory=fake_factory)
    summary = run_job(options(out=OUT, evidence=True), enhancer_factory=fake_factory)
    assert summary.counts.outcome.reasons["failed"] == {"not_an_image": 1} and summary.out == OUT
    same_images(empty_bucket, tmp_path / "local")
    there, here = without_lock(stored(empty_bucket)), folder_content(tmp_path / "local")
    assert set(there) == set(here), "the same files, no lock and nothing temporary"
    assert {k: v for k, v in there.items() if k.startswith("evidence/")} == {
        k: v for k, v in here.items() if k.startswith("evidence/")
    }
    assert there["plan.parquet"] == here["plan.parquet"]
    run = json.loads(there["run.json"])["runs"][0]
    assert run["how"] == "finished"
    events = [json.loads(line)["event"] for line in there["log.jsonl"].splitlines()]
    assert events[0] == "begin" and events[-1] == "end"
    assert run_job(options(out=OUT, evidence=True), enhancer_factory=fake_factory).worked == 0


def test_decisions_are_obeyed_and_taken_back_in_a_store(empty_bucket, options, archive):
    run_job(options(out=OUT), enhancer_factory=fake_factory)
    before = {k: v for k, v in stored(empty_bucket).items() if k.startswith(("images/", "rows/"))}
    rows = rows_of(before)
    review = Review(StorePath(OUT))
    text = b"image_id,decision\na.png,withhold\nleft/eye.jpg,deliver\n"
    done = review.apply(review.read(text, "x", reviewer="R", when="2026-01-01")).done
    assert dict(done) == {"withheld": 1, "confirmed": 1}
    found = stored(empty_bucket)
    assert found["images/a.png"] == (archive / "a.png").read_bytes() != before["images/a.png"]
    assert found["review/set-aside/images/a.png"] == before["images/a.png"]
    assert read_status(StorePath(OUT)).as_json()["withheld_by_reason"] == {"reviewer": 1}
    review.apply(review.undo_all(reviewer="R", when="2026-01-02"))
    found = stored(empty_bucket)
    assert {k: v for k, v in found.items() if k.startswith("images/")} == {
        k: v for k, v in before.items() if k.startswith("images/")
    }
    assert rows_of(found) == rows
    assert not [name for name in found if name.startswith("review/")]


def test_from_store_to_store_and_the_output_is_no_source(empty_bucket, options, archive, tmp_path):
    for path in archive.rglob("*.*"):
        with empty_bucket.open_output_stream(
            f"results/eyes/{path.relative_to(archive).as_posix()}"
        ) as stream:
            stream.write(path.read_bytes())
    given = options(archive=("s3://results/eyes",), out=OUT)
    run_job(given, enhancer_factory=fake_factory)
    run_job(options(out=str(tmp_path / "local")), enhancer_factory=fake_factory)
    images = {k.removeprefix("images/"): v
              for k, v in stored(empty_bucket).items() if k.startswith("images/")}  # fmt: skip
    assert images == outputs(tmp_path / "local")
    for out in ("s3://results/eyes", "s3://results/eyes/out", "s3://results"):
        with pytest.raises(UsageError, match="overlap"):
            run_job(options(archive=("s3://results/eyes",), out=out), enhancer_factory=fake_factory)
    # the output of another job within an archive is passed over, as in folders
    whole = options(archive=("s3://results",), out=str(tmp_path / "all"))
    summary = run_job(whole, enhancer_factory=fake_factory)
    assert summary.images == 9


class Stops(FakeEnhancer):
    """Gives up in the middle, as a driver that is killed does."""

    def __init__(self, after: int) -> None:
        self.left = after

    def enhance(self, pixels, fov, *, cancelled=lambda: False):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().enhance(pixels, fov)


def test_interrupted_and_resumed_gives_the_same_bytes(empty_bucket, options, tmp_path):
    run_job(options(out=str(tmp_path / "local")), enhancer_factory=fake_factory)
    first = run_job(options(out=OUT), enhancer_factory=lambda device, threads: Stops(5))
    assert first.interrupted and 0 < first.counts.images < 9
    with pytest.raises(UsageError, match="quality: not set -> 80"):
        run_job(options(out=OUT, quality=80), enhancer_factory=fake_factory)
    second = run_job(options(out=OUT), enhancer_factory=fake_factory)
    assert second.before == first.counts.images and second.exit_code == EXIT_DONE
    # the name of the factory's network is in the rows; the images are the same
    images = {k.removeprefix("images/"): v
              for k, v in stored(empty_bucket).items() if k.startswith("images/")}  # fmt: skip
    assert images == outputs(tmp_path / "local")


def test_a_killed_driver_blocks_nobody(empty_bucket, options, archive, tmp_path, monkeypatch):
    measure_nothing(monkeypatch.setattr)  # as in the process of its own
    run_job(options(out=str(tmp_path / "local")), enhancer_factory=fake_factory)
    process = start(archive, OUT, pause=0.3, shard=2, workers=0)
    until(lambda: bool(names_in(StorePath(f"{OUT}/rows"))), process)
    with pytest.raises(JobError, match=f"Another job is running on {OUT}: process {process.pid}"):
        run_job(options(out=OUT), enhancer_factory=fake_factory)
    assert read_status(StorePath(OUT)).state == "running"
    process.kill()
    process.communicate()
    assert read_status(StorePath(OUT)).state == "killed"
    summary = run_job(options(out=OUT), enhancer_factory=fake_factory)
    assert summary.before > 0 and summary.exit_code == EXIT_DONE
    same_images(empty_bucket, tmp_path / "local")
    assert set(without_lock(stored(empty_bucket))) == set(folder_content(tmp_path / "local"))


def test_retry_failed_and_lost_outputs(empty_bucket, options, archive):
    write_image(archive / "many" / "2.png", seed=7)
    good = (archive / "many" / "2.png").read_bytes()
    (archive / "many" / "2.png").write_bytes(b"x" * len(good))
    given = options(out=OUT)
    assert run_job(given, enhancer_factory=fake_factory).counts.failed == 1
    (archive / "many" / "2.png").write_bytes(good)
    empty_bucket.delete_file("results/made/here/images/a.png")
    with pytest.raises(JobError, match=r"images/a\.png: its row says enhanced"):
        run_job(given, enhancer_factory=fake_factory)
    again = run_job(options(out=OUT, retry_failed=True), enhancer_factory=fake_factory)
    assert again.worked == 2 and again.counts.failed == 0


def test_parts_share_a_place(empty_bucket, options, tmp_path):
    run_job(options(out=str(tmp_path / "local")), enhancer_factory=fake_factory)
    out = StorePath(OUT)
    for number in (2, 1):
        with job_lock(out, part=Part(3, 3)):  # a sibling at work
            run_job(options(out=OUT, part=f"{number}/3"), enhancer_factory=fake_factory)
            with pytest.raises(JobError, match="Another job is running"):
                run_job(options(out=OUT), enhancer_factory=fake_factory)
    assert not read_status(out).complete
    run_job(options(out=OUT, part="3/3"), enhancer_factory=fake_factory)
    assert read_status(out).complete
    same_images(empty_bucket, tmp_path / "local")


def test_status_and_report_read_a_store(empty_bucket, options, tmp_path, capsys):
    run_job(options(out=OUT), enhancer_factory=fake_factory)
    run_job(options(out=str(tmp_path / "local")), enhancer_factory=fake_factory)
    assert main(["status", OUT]) == EXIT_DONE
    assert f"{OUT}: complete, 9 of 9 images" in capsys.readouterr().out
    assert main(["report", OUT, "-f", "csv"]) == EXIT_DONE
    assert capsys.readouterr().out.count("many/") >= 4
    assert main(["report", OUT, "--individual"]) == EXIT_DONE
    assert capsys.readouterr().out.strip() == f"{OUT}/report.html"
    page = stored(empty_bucket)["report.html"].decode()
    assert page.count("data:image/jpeg") > 0
    assert main(["report", OUT, "-o", str(tmp_path / "page.html")]) == EXIT_DONE
    assert (tmp_path / "page.html").stat().st_size > 10_000
    assert main(["report", OUT, "--open"]) == 2
    assert "9" in build_report(StorePath(OUT), format="md")


@pytest.mark.ray
def test_from_the_command_line_with_a_worker(empty_bucket, archive, capsys):
    given = [str(archive), "-o", OUT, "--workers", "1", "--gpus", "0", "--limit", "2"]
    assert main(["enhance", *given, "--policy", "all", "--evidence"]) == EXIT_DONE
    there = stored(empty_bucket)
    assert {"images/a.jpg", "images/a.png", "evidence/a.jpg.jpg", "run.json"} <= set(there)
    assert f"Next: magenet report {OUT}" in capsys.readouterr().err
    assert main(["enhance", *given, "--policy", "all", "--evidence", "--json"]) == EXIT_DONE
    assert json.loads(capsys.readouterr().out)["worked"] == 0


def test_an_archive_in_a_store_grows(empty_bucket, options, archive, tmp_path):
    """Archive and output in the store: new, changed and removed objects, across a restart."""

    def put(name: str, content: bytes) -> None:
        (StorePath("s3://results/eyes") / name).write_bytes(content)

    for path in archive.rglob("*.png"):
        put(path.relative_to(archive).as_posix(), path.read_bytes())
    given = {"archive": ("s3://results/eyes",), "out": OUT}
    first = run_job(options(**given), enhancer_factory=fake_factory)
    put("new.png", write_image(tmp_path / "new.png", seed=40).read_bytes())
    put("many/1.png", write_image(tmp_path / "other.png", seed=41).read_bytes())
    StorePath("s3://results/eyes/many/2.png").unlink()
    summary = run_job(options(**given, append=True), enhancer_factory=fake_factory)
    assert (first.worked, summary.worked, summary.images) == (5, 2, 6)
    assert run_job(options(**given), enhancer_factory=fake_factory).worked == 0
    status = read_status(StorePath(OUT))
    assert (status.complete, status.removed, status.generations[0].new) == (True, 1, 1)
    run_job(options(**(given | {"out": "s3://results/whole"})), enhancer_factory=fake_factory)
    grown, whole = rows_of(stored(empty_bucket)), rows_of(stored(empty_bucket, "results/whole"))
    assert sorted((r for r in grown if not r["removed"]), key=lambda r: r["image_id"]) == whole
    made = {k: v for k, v in stored(empty_bucket).items() if k.startswith("images/")}
    assert made.pop("images/many/2.png")
    assert made == {
        k: v for k, v in stored(empty_bucket, "results/whole").items() if k.startswith("images/")
    }
