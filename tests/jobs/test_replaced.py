"""What replaced rows leave: their own files go, and no name in a row reaches anything else."""

from __future__ import annotations

import pytest

from magenet_batch.errors import StorageError
from magenet_batch.jobs.ledger.log import Log
from magenet_batch.jobs.ledger.replaced import remove_replaced

NEW = {"output": "images/a.png", "evidence": None, "preview": None, "decision": None}


def test_files_that_only_the_old_row_names_are_removed(tmp_path):
    names = ["images/a.png", "images/a.bmp", "evidence/a.jpg", "review/previews/a.jpg",
             "review/set-aside/images/a.png"]  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    old = {"output": "images/a.bmp", "evidence": "evidence/a.jpg",
           "preview": "review/previews/a.jpg", "decision": "withhold"}  # fmt: skip
    for _ in range(2):  # what is gone already is fine
        remove_replaced(tmp_path, old, NEW, enhanced="images/a.png")
    left = [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()]
    assert left == ["images/a.png"]


@pytest.mark.parametrize("column", ["output", "evidence", "preview"])
@pytest.mark.parametrize(
    "name",
    ["../secret", "images/../../secret", "/secret", "rows/part-000000.parquet", "run.json", ""],
)
def test_a_row_that_was_tampered_with_removes_nothing_else(tmp_path, column, name):
    out = tmp_path / "out"
    for path in (tmp_path / "secret", out / "run.json", out / "rows/part-000000.parquet"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    remove_replaced(out, NEW | {column: name}, NEW, enhanced="images/a.png")
    assert len([p for p in tmp_path.rglob("*") if p.is_file()]) == 3


def test_a_file_that_cannot_be_removed_is_a_sentence(tmp_path):
    (tmp_path / "images/b.png").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"images/b\.png cannot be removed"):
        remove_replaced(tmp_path, NEW | {"output": "images/b.png"}, NEW, enhanced="images/a.png")


def test_a_log_line_that_was_cut_off_does_not_damage_the_next(tmp_path):
    path = tmp_path / "log.jsonl"
    log = Log(path)
    log.write("begin")
    path.write_bytes(path.read_bytes()[:-20])
    log.write("end")
    log.write("again")
    torn, *whole = path.read_text().splitlines()
    assert len(whole) == 2 and '"event": "end"' in whole[0] and not torn.endswith("}")
    path.unlink()
    path.mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        log.write("begin")
