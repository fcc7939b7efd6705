import json

import numpy as np
import pyarrow as pa
import pytest
from report_fakes import make_rows, write_out

from magenet_batch.errors import UsageError
from magenet_batch.records.schema import QUALITY_MEASURES
from magenet_batch.report.totals.collect import collect
from magenet_batch.report.totals.groups import MAX_FOLDERS, MAX_VALUES, SHOWN_VALUES
from magenet_batch.report.totals.totals import TABLE_ROWS


def test_totals_agree_with_the_rows(tmp_path):
    rows = make_rows(103)
    found = collect(write_out(tmp_path / "out", rows))
    assert found.images == 103
    for status in ("enhanced", "kept", "failed"):
        assert found.status[status] == sum(r["status"] == status for r in rows)
    assert found.flagged == sum(bool(r["flags"]) for r in rows)
    assert found.flags["new_vessels"] == found.flagged
    assert found.megapixels == pytest.approx(103 * 3)
    assert sum(f.count for f in found.failures.values()) == found.status["failed"]
    assert all(len(f.examples) <= 5 for f in found.failures.values())
    before = [r["sharpness_before"] for r in rows if r["status"] == "enhanced"]
    assert found.before["sharpness"].n == len(before)
    assert found.before["sharpness"].mean == pytest.approx(np.mean(before), abs=1e-6)
    assert found.better["sharpness"] == (len(before), len(before))
    assert found.better["haze"] == (0, len(before))
    assert found.run.seconds == 40.0
    assert found.run.runs == 2


def test_groups_by_folder_and_by_columns_with_few_values(tmp_path):
    rows = make_rows(60)
    found = collect(write_out(tmp_path / "out", rows))
    folders = dict(found.folders.result())
    assert sum(t.images for t in folders.values()) == 60
    assert "site_a/2019" in folders
    columns = {c.name: dict(c.result()) for c in found.columns}
    assert set(columns["camera"]) == {"Topcon", "Canon", "(none)"}
    assert sum(t.images for t in columns["camera"].values()) == 60
    assert columns["patient"] == {}


def test_many_folders_are_merged_into_the_ones_above(tmp_path):
    rows = make_rows(3 * MAX_FOLDERS)
    for i, row in enumerate(rows):
        row["image_id"] = f"site_{i % 4}/patient_{i}/img.jpg"
    found = collect(write_out(tmp_path / "out", rows, per_file=500))
    folders = dict(found.folders.result())
    assert set(folders) == {f"site_{i}" for i in range(4)}
    assert sum(t.images for t in folders.values()) == len(rows)


def test_the_table_keeps_failed_and_flagged_rows_first(tmp_path):
    rows = make_rows(3_000)
    found = collect(write_out(tmp_path / "out", rows, per_file=1_000))
    table = found.table_rows()
    assert len(table) == TABLE_ROWS
    assert sum(r["status"] == "failed" for r in table) == found.status["failed"]
    assert sum(bool(r["flags"]) for r in table) == found.flagged
    assert [r["image_id"] for r in table] == sorted(r["image_id"] for r in table)


def test_the_order_of_files_does_not_matter(tmp_path):
    rows = make_rows(90)
    one = collect(write_out(tmp_path / "a", rows, per_file=90))
    two = collect(write_out(tmp_path / "b", rows[::-1], per_file=7))
    assert [r["image_id"] for r in one.table_rows()] == [r["image_id"] for r in two.table_rows()]
    for why, top in one.picks.items():
        assert [r["image_id"] for r in top.rows()] == [r["image_id"] for r in two.picks[why].rows()]


def test_old_rows_without_some_columns_are_read(tmp_path):
    import pyarrow.parquet as pq

    (tmp_path / "rows").mkdir()
    table = pa.table({"image_id": ["a.jpg"], "status": ["kept"]})
    pq.write_table(table, tmp_path / "rows" / "part-000000.parquet")
    found = collect(tmp_path)
    assert found.images == 1
    assert found.status["kept"] == 1
    assert dict(found.folders.result())["."].images == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", json.dumps({"runs": 3}), json.dumps({"runs": [1]})]
)
def test_a_damaged_run_json_is_no_obstacle(tmp_path, text):
    out = write_out(tmp_path / "out", make_rows(5), run=False)
    (out / "run.json").write_text(text)
    assert collect(out).run.seconds is None


def test_a_folder_without_rows_is_explained(tmp_path):
    with pytest.raises(UsageError, match=r"no rows in .*magenet enhance"):
        collect(tmp_path)


def test_rows_that_are_no_parquet_are_explained(tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "part-000000.parquet").write_bytes(b"nonsense")
    with pytest.raises(UsageError, match="not readable"):
        collect(tmp_path)


def test_a_column_of_many_values_shows_the_largest_and_adds_up_the_others(tmp_path):
    rows = make_rows(600)
    for i, row in enumerate(rows):
        row["camera"] = f"camera {min(i % 60, i % 7)}" if i % 2 else f"rare {i % 80}"
    found = collect(write_out(tmp_path / "out", rows, per_file=100))
    camera = next(c for c in found.columns if c.name == "camera")
    result = dict(camera.result())
    assert len(result) == SHOWN_VALUES + 1
    assert sum(t.images for t in result.values()) == 600
    (others,) = (name for name in result if "other values" in name)
    least = min(t.images for name, t in result.items() if name != others)
    assert result[others].images >= least
    assert not camera.complete


def test_a_column_of_names_is_no_grouping(tmp_path):
    rows = make_rows(MAX_VALUES + 50)
    found = collect(write_out(tmp_path / "out", rows, per_file=100))
    patient = next(c for c in found.columns if c.name == "patient")
    assert patient.totals is None  # given up: nothing of it is held
    assert patient.result() == []


def test_only_picked_rows_are_read_whole(tmp_path):
    rows = make_rows(90)
    for i, row in enumerate(rows):
        row |= {"source": f"/archive/{i}.jpg", "sha256": f"{i:064d}"}
    found = collect(write_out(tmp_path / "out", rows, per_file=7), reviewed=50)
    by_id = {row["image_id"]: row for row in rows}
    whole = [r for top in (*found.picks.values(), found.reviewed) for r in top.rows()]
    assert len(whole) > 20
    for row in whole:
        assert row["source"] == by_id[row["image_id"]]["source"]
        assert row["sha256"] == by_id[row["image_id"]]["sha256"]
    assert all("source" not in row or row["source"] is None for row in found.table_rows())


def test_images_whose_grade_rose_lead_and_those_whose_grade_fell_are_no_gain(tmp_path):
    rows = [row | {"flags": []} for row in make_rows(60)]
    enhanced = [row for row in rows if row["status"] == "enhanced"]
    for row in enhanced:
        row |= {"grade_before": "usable", "grade_after": "usable"}
    poorest = min(enhanced, key=lambda row: row["sharpness_after"] - row["sharpness_before"])
    poorest |= {"grade_before": "reject"}
    enhanced[5 if enhanced[5] is not poorest else 6] |= {"grade_after": "reject"}
    picked = collect(write_out(tmp_path / "out", rows)).picks["gain"].rows()
    assert picked[0]["image_id"] == poorest["image_id"]
    assert all(row["grade_after"] == "usable" for row in picked)


def test_vessels_that_gained_contrast_lead_before_light_that_was_evened(tmp_path):
    rows = [row | {"flags": [], "vessel_contrast": 1.0} for row in make_rows(60)]
    enhanced = [row for row in rows if row["status"] == "enhanced"]
    for row in enhanced:
        row |= {"grade_before": "usable", "grade_after": "usable"}
        for name in QUALITY_MEASURES:
            row[f"{name}_after"] = row[f"{name}_before"]
    even, clear, unknown = enhanced[:3]
    even |= {"illumination_before": 0.2, "illumination_after": 0.6}
    clear |= {"vessel_contrast": 1.9}
    unknown |= {"vessel_contrast": None}
    picked = collect(write_out(tmp_path / "out", rows)).picks["gain"].rows()
    assert [row["image_id"] for row in picked[:2]] == [clear["image_id"], even["image_id"]]
