import csv
import io
import json

import pytest
from report_fakes import HOSTILE, make_rows, write_out

from magenet_batch.report.build import build_report, write_report
from magenet_batch.report.text import harmless
from magenet_batch.report.words import visible
from magenet_batch.schema import COLUMN_NAMES


def test_json_holds_the_counts(out):
    found = json.loads(build_report(out, format="json"))
    assert found["images"] == 40
    assert found["enhanced"] + found["kept"] + found["failed"] == 40
    assert found["quality"]["sharpness"]["before"]["n"] == found["enhanced"]
    assert found["run"]["command"] == "magenet enhance /archive"
    assert found["seconds"] == 40.0


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
    assert "5 images: 3 enhanced, 1 kept, 1 failed" in text


def test_visible_spells_out_what_cannot_be_seen():
    assert visible("a\u202eb\nc\u200b") == "a\\u202eb\\u000ac\\u200b"
    assert visible("Müller 視神経 é") == "Müller 視神経 é"


@pytest.mark.parametrize("format", ["json", "csv", "md"])
def test_written_and_returned_texts_are_the_same(out, format):
    path = write_report(out, format=format)
    assert path == out / f"report.{format}"
    with path.open(encoding="utf-8", newline="") as stream:
        assert stream.read() == build_report(out, format=format)
