"""The data card: valid for its own library, and complete."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from magenet_batch.records.card import data_card
from magenet_batch.records.schema import COLUMN_NAMES, TIMING_COLUMNS

OPTIONS = {"weights_hash": "0123456789abcdef", "task": "enhance", "archive": ["/data/Jane Doe"]}
EXTRA = pa.schema([("camera", pa.string()), ("age", pa.int64()), ("dose", pa.float64()),
                   ("left", pa.bool_()), ("seen", pa.timestamp("ns"))])  # fmt: skip


def card() -> dict:
    return data_card(options=OPTIONS, created="2026-01-31T12:00:00+00:00", extra=EXTRA)


def test_every_column_is_described_but_the_timings():
    fields = card()["recordSet"][0]["field"]
    expected = [n for n in COLUMN_NAMES if n not in TIMING_COLUMNS]
    assert [field["name"] for field in fields] == [*expected, *EXTRA.names]
    kinds = {field["name"]: field["dataType"] for field in fields}
    assert [kinds[n] for n in ("image_id", "bytes", "fidelity", *EXTRA.names)] == [
        "sc:Text", "sc:Integer", "sc:Float", "sc:Text", "sc:Integer", "sc:Float", "sc:Boolean",
        "sc:Text",
    ]  # fmt: skip
    assert [field["name"] for field in fields if field.get("repeated")] == ["flags"]


def test_the_archive_is_not_named():
    assert "Jane" not in json.dumps(card())


def test_what_was_only_assessed_has_no_images():
    found = data_card(options={"task": "assess"}, created="2026-01-31", extra=pa.schema([]))
    assert [one["name"] for one in found["distribution"]] == ["rows"]
    assert "assessed" in found["name"]


def test_it_is_valid(tmp_path: Path):
    croissant = pytest.importorskip("mlcroissant")
    path = tmp_path / "croissant.json"
    path.write_text(json.dumps(card()))
    metadata = croissant.Dataset(jsonld=str(path)).metadata
    assert not metadata.ctx.issues.errors
    assert {w.rpartition('Property "')[2].partition('"')[0].rpartition("/")[2]
            for w in metadata.ctx.issues.warnings} == {"citeAs", "license"}  # fmt: skip
    broken = card()
    broken["recordSet"][0]["field"][0]["source"]["fileSet"]["@id"] = "nowhere"
    path.write_text(json.dumps(broken))
    with pytest.raises(croissant.ValidationError):
        croissant.Dataset(jsonld=str(path))
