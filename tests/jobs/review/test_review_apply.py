"""Decisions are obeyed: what is delivered, what the rows say, and that it can be taken back."""

import contextlib
import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from magenet_batch.errors import JobError, StorageError, UsageError, WeightsError
from magenet_batch.jobs import run
from magenet_batch.jobs.ledger.ledger import Ledger
from magenet_batch.jobs.ledger.lock import job_lock
from magenet_batch.jobs.ledger.status import read_status
from magenet_batch.jobs.review import apply as applying
from magenet_batch.jobs.review.waiting import read_waiting
from magenet_batch.records.schema import REVIEW_COLUMNS, row_schema
from magenet_batch.report.totals.collect import collect

crashed: list[bool] = []
ALL = {"good__png": "withhold", "flagged__jpg": "withhold", "worse__png": "deliver",
       "worse__tif": "deliver"}  # fmt: skip


def originals(job):
    return {p.name: p.read_bytes() for p in (job.home / "archive").iterdir()}


def test_a_job_has_an_image_of_every_outcome(job):
    found = {name: (r["status"], r["reason"]) for name, r in job.rows().items()}
    assert found == {
        "kept.png": ("kept", "good"), "good.png": ("enhanced", None),
        "flagged.jpg": ("enhanced", None), "worse.png": ("withheld", "contrast_fell"),
        "worse.tif": ("withheld", "contrast_fell"), "hopeless.png": ("withheld", "hopeless"),
        "torn.jpg": ("failed", "not_an_image"),
    }  # fmt: skip
    previews = [name for name, row in job.rows().items() if row["preview"]]
    assert sorted(previews) == ["worse.png", "worse.tif"]
    assert all((job.out / job.rows()[name]["preview"]).is_file() for name in previews)
    waiting = [image_id for image_id, *_ in read_waiting(job.out).images]
    assert waiting == ["flagged.jpg", "worse.png", "worse.tif"]


def test_deliver_makes_the_withheld_image_again_and_withhold_brings_the_original(job):
    before, first = job.files(), job.rows()
    result = job.decide(**ALL)
    after, rows = job.files(), job.rows()
    assert dict(result.done) == {"withheld": 2, "delivered": 2} and not result.failed
    for name in ("good.png", "flagged.jpg"):
        assert after[f"images/{name}"] == originals(job)[name] != before[f"images/{name}"]
        assert (rows[name]["status"], rows[name]["reason"]) == ("withheld", "reviewer")
    for name in ("worse.png", "worse.tif"):
        assert after[f"images/{name}"] != originals(job)[name] == before[f"images/{name}"]
        assert (rows[name]["status"], rows[name]["reason"]) == ("enhanced", None)
        assert rows[name]["look"] == "natural"
    for name in ALL:
        row = rows[name.replace("__", ".")]
        assert (row["reviewer"], row["reviewed"]) == ("R", "2026-01-01T00:00:00+00:00")
        assert row["decision"] == ALL[name]
        before_it = json.loads(row["before_review"])
        assert before_it["status"] == first[row["image_id"]]["status"]
    # all else is as it was: other rows, other columns, no row more or less
    changed = {"status", "reason", "message", "output", "look", "output_sha256", *REVIEW_COLUMNS}
    assert list(rows) == list(first)
    for name, row in rows.items():
        if row["output"] is not None:
            assert row["output_sha256"] == hashlib.sha256(after[row["output"]]).hexdigest()
        decided = name.replace(".", "__") in ALL
        same = {k: v for k, v in row.items() if not decided or k not in changed}
        assert same == {k: first[name][k] for k in same}
    assert job.loaded == ["small"]  # once for both
    assert not (job.out / "review/pending.json").exists()


def test_every_count_tells_of_it_and_adds_up(job):
    job.decide(**{**ALL, "good__png": "deliver"})
    said = "3 of 7 delivered enhanced; 1 delivered as they came; 2 withheld; 1 failed."
    status = read_status(job.out).as_json()
    found = collect(job.out).outcome.as_json()
    for counts in (status, found):
        assert counts["headline"] == said
        assert counts["withheld_by_reason"] == {"hopeless": 1, "reviewer": 1}
        assert counts["reviewed"] == {"deliver": 3, "withhold": 1}
        assert counts["to_review"] == 0
    assert {k: v for k, v in status.items() if k in found} == found
    Ledger(job.out, job.review()._plan).audit()
    assert Ledger(job.out, job.review()._plan).audit()[1] == []


def test_undo_brings_back_every_byte(job):
    files, rows = job.files(), job.rows()
    job.decide(**ALL)
    review = job.review()
    result = review.apply(review.undo_all(reviewer="R", when="2026-01-02T00:00:00+00:00"))
    assert dict(result.done) == {"undone": 4}
    assert job.files() == files and job.rows() == rows
    assert not [p for p in (job.out / "review/set-aside").rglob("*") if p.is_file()]


def test_a_decision_can_be_changed_and_taken_back_alone(job):
    files, rows = job.files(), job.rows()
    job.decide(good__png="withhold", worse__png="deliver")
    job.decide(good__png="deliver", worse__png="withhold")
    now = job.rows()
    assert job.files() == files
    found = [(now[n]["status"], now[n]["decision"]) for n in ("worse.png", "good.png")]
    assert found == [("withheld", "withhold"), ("enhanced", "deliver")]
    assert now["worse.png"]["reason"] == "contrast_fell"
    job.decide(good__png="undo")
    assert job.rows()["good.png"] == rows["good.png"]
    assert job.rows()["worse.png"]["decision"] == "withhold"


def test_the_same_decisions_twice_change_nothing_more(job):
    job.decide(**ALL)
    files, rows = job.files(), job.rows()
    result = job.decide(**ALL)
    assert dict(result.done) == {"unchanged": 4}
    assert job.files() == files and job.rows() == rows


def test_a_dry_run_changes_nothing(job):
    files, rows = job.files(), job.rows()
    review = job.review()
    text = b"image_id,decision\ngood.png,withhold\nflagged.jpg,deliver\n"
    result = review.preview(review.read(text, "x", reviewer="R", when="2026-01-01"))
    assert dict(result.done) == {"withheld": 1, "confirmed": 1}
    assert "2 would be decided" in result.text()
    assert job.files() == files and job.rows() == rows


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("kept.png", "it is delivered as it came"),
        ("hopeless.png", "it was never enhanced"),
        ("torn.jpg", "it failed"),
    ],
)
def test_what_was_not_enhanced_cannot_be_decided(job, name, said):
    with pytest.raises(UsageError, match=f"nothing is changed:\n  {name}: {said}"):
        job.decide(**{name.replace(".", "__"): "deliver", "good__png": "withhold"})
    assert job.rows()["good.png"]["status"] == "enhanced"


def test_an_original_that_changed_or_vanished_is_not_delivered(job):
    (job.home / "archive/good.png").unlink()
    (job.home / "archive/worse.png").write_bytes(originals(job)["worse.tif"])
    files = job.files()
    result = job.decide(good__png="withhold", worse__png="deliver", flagged__jpg="withhold")
    assert result.exit_code == 3 and len(result.failed) == 2
    assert "another file than the one that was judged" in result.text()
    rows = job.rows()
    assert (rows["good.png"]["status"], rows["worse.png"]["status"]) == ("enhanced", "withheld")
    assert rows["flagged.jpg"]["reason"] == "reviewer"
    assert {n for n in files if files[n] != job.files()[n]} == {"images/flagged.jpg"}


def test_what_measures_otherwise_than_it_was_judged_is_not_delivered(job):
    path = job.out / "rows/part-000001.parquet"
    for path in sorted((job.out / "rows").iterdir()):
        table = pq.read_table(path)
        at = table.column_names.index("fidelity")
        half = pa.array([v and v / 2 for v in table.column(at).to_pylist()], pa.float32())
        pq.write_table(table.set_column(at, table.schema.field(at), half), path)
    result = job.decide(worse__png="deliver")
    assert "it measures otherwise than when it was judged (fidelity)" in result.text()
    assert job.rows()["worse.png"]["status"] == "withheld"
    assert job.files()["images/worse.png"] == originals(job)["worse.png"]


@pytest.mark.parametrize("kept", ["copy", "link", "omit"])
def test_originals_are_kept_as_the_job_was_told(job, kept):
    record = json.loads((job.out / "run.json").read_text())
    record["identity"]["kept"] = kept
    (job.out / "run.json").write_text(json.dumps(record))
    files, rows = job.files(), job.rows()
    job.decide(good__png="withhold")
    output = job.out / "images/good.png"
    assert (job.rows()["good.png"]["output"] is None) == (kept == "omit") == (not output.exists())
    assert output.is_symlink() == (kept == "link")
    job.decide(good__png="undo")
    assert job.files() == files and job.rows() == rows and not output.is_symlink()


class PowerCut(BaseException):
    """Ends everything at once, as no `except` expects."""


@pytest.mark.parametrize("place", range(22))
def test_a_crash_at_any_step_is_mended_by_the_next_review(job, monkeypatch, place):
    """The power goes before the n-th change of the disk; afterwards all is as if it had not."""
    wanted = dict.fromkeys(("good.png", "flagged.jpg"), "reviewer")
    wanted |= dict.fromkeys(("worse.png", "worse.tif"))
    left = [place]

    def cut(real):
        def changed(path, *arguments, **more):
            if path.suffix != ".lock":  # which ends with its process
                left[0] -= 1
                if left[0] < 0:
                    raise PowerCut
            return real(path, *arguments, **more)

        return changed

    with monkeypatch.context() as patched, contextlib.suppress(PowerCut):
        for name in ("replace", "unlink"):
            patched.setattr(Path, name, cut(getattr(Path, name)))
        job.decide(**ALL)
    crashed.append(left[0] < 0)
    pending = (job.out / "review/pending.json").exists()
    assert read_status(job.out).review_pending == pending
    assert len(job.rows()) == 7
    if pending:
        assert "magenet review" in read_status(job.out).text()
    job.review().apply([])
    if not pending:
        job.decide(**ALL)
    rows = job.rows()
    assert {name: rows[name]["reason"] for name in wanted} == wanted
    files, given = job.files(), originals(job)
    assert all((files[f"images/{n}"] == given[n]) == bool(why) for n, why in wanted.items())
    review = job.review()
    review.apply(review.undo_all(reviewer="R", when="2026-01-02"))
    rows, files = job.rows(), job.files()
    assert [rows[n]["status"] for n in wanted] == ["enhanced", "enhanced", "withheld", "withheld"]
    assert all((files[f"images/{n}"] == given[n]) == (not why) for n, why in wanted.items())


def test_the_power_went_at_nearly_every_step():
    assert sum(crashed) >= 15 or not crashed


def test_a_full_disk_leaves_the_review_to_be_finished(job, monkeypatch):
    def full(self, shard, changes):
        raise StorageError("no room", persistent=True)

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "change", full)
        with pytest.raises(StorageError):
            job.decide(**ALL)
    assert read_status(job.out).review_pending
    job.review().apply([])
    assert job.rows()["good.png"]["reason"] == "reviewer"


def test_weights_that_are_gone_block_no_other_decision(job, monkeypatch):
    def gone(*how, **weights):
        raise WeightsError("there are no such weights")

    monkeypatch.setattr(run, "load_enhancer", gone)
    result = job.decide(**ALL)
    assert dict(result.done) == {"withheld": 2} and len(result.failed) == 2
    assert "it cannot be enhanced again: there are no such weights" in result.text()
    assert not read_status(job.out).review_pending
    assert job.rows()["worse.png"]["status"] == "withheld"


def test_a_damaged_note_is_explained(job):
    (job.out / "review/pending.json").write_text("{")
    with pytest.raises(JobError, match="Delete it and apply the decisions again"):
        job.review().apply([])


def test_a_running_job_is_not_disturbed(job):
    with job_lock(job.out), pytest.raises(JobError, match="Another job is running"):
        job.decide(good__png="withhold")


def test_rows_of_an_older_version_are_read_and_decided(job):
    for path in sorted((job.out / "rows").iterdir()):
        table = pq.read_table(path).drop_columns(list(REVIEW_COLUMNS))
        pq.write_table(table.replace_schema_metadata({"magenet.row_schema": "4"}), path)
    assert read_status(job.out).as_json()["to_review"] == 3
    job.decide(good__png="withhold")
    assert job.rows()["good.png"]["decision"] == "withhold"
    file = next(p for p in sorted((job.out / "rows").iterdir())
                if "good.png" in pq.read_table(p).column("image_id").to_pylist())  # fmt: skip
    assert pq.read_schema(file).metadata == row_schema().metadata
    assert collect(job.out).outcome.as_json()["reviewed"] == {"deliver": 0, "withhold": 1}


def test_a_folder_without_a_job_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no job in this folder"):
        applying.Review(tmp_path)


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("output", "../archive/good.png", "outside of the output folder"),
        ("before_review", "{", "does not tell what was there before"),
    ],
)
def test_rows_that_were_tampered_with_lead_nowhere(job, column, text, said):
    for path in sorted((job.out / "rows").iterdir()):
        table = pq.read_table(path)
        at, ids = table.column_names.index(column), table.column("image_id").to_pylist()
        values = table.column(at).to_pylist()
        for place, name in enumerate(ids):
            if name == "worse.png":
                values[place] = text
        field = table.schema.field(at)
        pq.write_table(table.set_column(at, field, pa.array(values, field.type)), path)
    given, files = originals(job), job.files()
    try:
        result = job.decide(worse__png="deliver")
        assert said in result.text()
    except UsageError as error:
        assert said in str(error)
    assert originals(job) == given and job.files() == files
    assert job.rows()["worse.png"]["status"] == "withheld"
