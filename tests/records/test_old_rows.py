"""Rows of earlier schemas are still read: what they lack is null."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from magenet_batch.records.reading import complete, open_rows
from magenet_batch.records.schema import COLUMN_NAMES, row_schema

NEW_IN_5 = ("decoder_note", "burned_in_text")


@pytest.mark.parametrize("missing", [NEW_IN_5, ("decoder_note", "vessels_seen", "area_contrast")])
def test_older_rows_are_completed_with_nulls(missing, tmp_path):
    old = pa.schema([field for field in row_schema() if field.name not in missing])
    row = {"image_id": "a.jpg", "status": "enhanced", "bit_depth": 8, "flags": []}
    table = pa.Table.from_pylist([row], schema=old.with_metadata({"magenet.row_schema": "4"}))
    done = complete(table)
    assert set(done.column_names) == set(COLUMN_NAMES)
    assert all(done.column(name).to_pylist() == [None] for name in missing)
    assert done.column("bit_depth").to_pylist() == [8]
    (tmp_path / "rows").mkdir()
    pq.write_table(table, tmp_path / "rows" / "part-000000.parquet")
    rows = open_rows(tmp_path)
    (found,) = [row for t in rows.tables(["image_id"]) for row in t.to_pylist()]
    rows.fetch([found])
    assert found["image_id"] == "a.jpg" and found["decoder_note"] is None
