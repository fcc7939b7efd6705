import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_fakes import HOSTILE, make_rows, write_out

from magenet_batch.errors import UsageError
from magenet_batch.records.schema import COLUMN_NAMES
from magenet_batch.records.vocabulary import STATUSES
from magenet_batch.report.build import build_report, write_report
from magenet_batch.report.text import harmless


def test_json_holds_the_counts(out):
    found = json.loads(build_report(out, format="json"))
    assert found["images"] == 40
    assert sum(found[s] for s in STATUSES) == 40
    assert found["quality"]["sharpness"]["before"]["n"] == found["enhanced"]
    assert found["run"]["command"] == "magenet enhance /archive"
    assert found["seconds"] == 40.0


@pytest.mark.parametrize("format", ["text", "md", "json", "html"])
def test_images_that_are_not_done_yet_are_counted(out, format: str):
    pq.write_table(pa.table({"image_id": [f"{i}.jpg" for i in range(52)]}), out / "plan.parquet")
    told = build_report(out, format=format)
    assert "of 52 delivered enhanced" in told and "12 not done yet." in told


def test_a_damaged_plan_is_named(out):
    (out / "plan.parquet").write_bytes(b"PAR1 no plan")
    with pytest.raises(UsageError, match=r"plan\.parquet: not readable"):
        build_report(out, format="text")


def test_csv_holds_every_row_and_reads_back(out):
    rows = list(csv.DictReader(io.StringIO(build_report(out, format="csv"), newline="")))
    assert len(rows) == 40
    assert list(rows[0])[: len(COLUMN_NAMES)] == list(COLUMN_NAMES)
    assert rows[1]["image_id"] == HOSTILE
    assert rows[7]["flags"] in ("", "low_agreement;new_vessels")
    assert rows[4]["sharpness_before"] == ""
    assert float(rows[0]["sharpness_before"]) == pytest.approx(
        make_rows(1)[0]["sharpness_before"], abs=1e-6
    )


def test_markdown_keeps_hostile_names_inside_their_cell(tmp_path):
    rows = make_rows(5)
    rows[4]["image_id"] = "a|b`c\nd.jpg"
    text = build_report(write_out(tmp_path / "out", rows), format="md")
    assert "| corrupt | 1 | `a\\|b'c\\u000ad.jpg` |" in text
    assert "3 of 5 delivered enhanced; 1 delivered as they came; 1 failed." in text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_no_text_in_a_csv_is_a_formula(tmp_path, start):
    rows = make_rows(3)
    name = f"{start}cmd|' /C calc'!A1"
    rows[0] |= {"image_id": name, "flags": [f"{start}1+1"], "colour_shift": -1.5, "camera": name}
    rows[1] |= {"image_id": "a=b-c@d.jpg"}
    text = build_report(write_out(tmp_path / "out", rows), format="csv")
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    assert found[0]["image_id"] == f"'{name}"
    assert found[0]["camera"] == f"'{name}"
    assert found[0]["flags"] == f"'{start}1+1"
    assert float(found[0]["colour_shift"]) == -1.5
    assert found[1]["image_id"] == "a=b-c@d.jpg"


def test_harmless_leaves_other_text_alone():
    assert harmless("=1") == "'=1"
    assert [harmless(t) for t in ("", "a", "1", None)] == ["", "a", "1", None]


def test_columns_of_any_type_are_written(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "rows").mkdir()
    odd = {"image_id": ["a"], "=n": [-1], "when": [None], "s": [[{"k": 1}]], "d": [{"=k": 2}]}
    pq.write_table(pa.table(odd), tmp_path / "rows" / "part-000000.parquet")
    (row,) = csv.DictReader(io.StringIO(build_report(tmp_path, format="csv"), newline=""))
    assert row == {"image_id": "a", "'=n": "-1", "when": "", "s": "[{'k': 1}]", "d": "{'=k': 2}"}


def test_json_and_markdown_tell_grades_and_reasons(out):
    found = json.loads(build_report(out, format="json"))
    assert found["kept_by_reason"] == {"good": 8}
    flow = {(f["before"], f["delivered"]): f["images"] for f in found["grades"]["flow"]}
    assert sum(flow.values()) == 32
    assert flow["good", "good"] >= 8
    assert found["policies"][0]["images"] == 40
    site = found["folders"][0]
    assert 0 <= site["good_share_before"] <= site["good_share_after"] <= 1
    text = build_report(out, format="md")
    assert "| grade before | good | usable | reject |" in text


@pytest.mark.parametrize("format", ["json", "csv", "md"])
def test_written_and_returned_texts_are_the_same(out, format):
    path = write_report(out, format=format)
    assert path == out / f"report.{format}"
    with path.open(encoding="utf-8", newline="") as stream:
        assert stream.read() == build_report(out, format=format)


def test_markdown_of_an_assessed_archive_counts_what_was_assessed(tmp_path):
    rows = make_rows(4)
    for row in rows:
        row["status"] = "assessed"
    text = build_report(write_out(tmp_path / "out", rows), format="md")
    heading, _, gradable, _, said, *_ = text.splitlines()
    assert heading == "# Quality report"
    assert gradable == "**3 of 4 images are gradable.**"
    assert said == "All 4 images assessed."
    assert "| good | 2 | 50 % |" in text and "| reject | 1 | 25 % |" in text
    assert "before" not in text and "delivered" not in text


def test_markdown_of_an_enhanced_archive_says_nothing_of_assessing(out):
    heading, _, gradable, _, said, *_ = build_report(out, format="md").splitlines()
    assert heading == "# Enhancement report"
    assert gradable.startswith("**8 images became gradable: 24 of 32 were before, 32 are")
    assert said == "24 of 40 delivered enhanced; 8 delivered as they came; 8 failed."
