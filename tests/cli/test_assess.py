"""`magenet assess` as a user types it: every image graded, nothing written but the rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pyarrow.dataset as ds
import pytest

from magenet_batch.cli.main import main
from magenet_batch.phantom import make_phantom
from magenet_batch.records.schema import QUALITY_MEASURES
from magenet_batch.records.vocabulary import GRADES

NAMES = ("a.jpg", "b.png", "left/c.jpg")
RUN = """
import sys
from magenet_batch.cli.main import main
code = main(["assess", "archive", "--workers", "0", "--json"])
print([m for m in ("torch", "ray") if m in sys.modules])
sys.exit(code)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three phantoms, a file that is cut off and one that is no image."""
    home = tmp_path_factory.mktemp("home")
    for seed, name in enumerate(NAMES):
        path = home / "archive" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), make_phantom(seed, size=320).pixels[..., ::-1])
    whole = (home / "archive" / "a.jpg").read_bytes()
    (home / "archive" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (home / "archive" / "letter.jpg").write_text("Dear colleague, the pictures are attached.")
    return home


@pytest.fixture(scope="module")
def assessed(home: Path) -> subprocess.CompletedProcess[str]:
    """The first run, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", RUN], cwd=home, capture_output=True, text=True, check=False
    )


def rows(home: Path) -> dict[str, dict]:
    files = sorted(str(p) for p in (home / "out").rglob("*.parquet") if "plan" not in str(p))
    found = [f for f in files if "status" in ds.dataset(f).schema.names]
    every = ds.dataset(found).to_table().to_pylist()
    assert len({row["image_id"] for row in every}) == len(every), "one row per image"
    return {row["image_id"]: row for row in every}


def test_it_finishes_with_3_and_never_loads_the_network(home, assessed):
    assert assessed.returncode == 3, assessed.stderr
    summary, loaded = assessed.stdout.splitlines()
    assert loaded == "[]"
    found = json.loads(summary)
    assert (found["images"], found["assessed"], found["failed"]) == (5, 3, 2)
    assert found["enhanced"] == 0
    assert "Traceback" not in assessed.stderr


def test_rows_in_are_rows_out(home, assessed):
    found = rows(home)
    assert set(found) == {*NAMES, "cut.jpg", "letter.jpg"}
    assert {name: row["status"] for name, row in found.items()} == {
        **dict.fromkeys(NAMES, "assessed"),
        "cut.jpg": "failed",
        "letter.jpg": "failed",
    }
    assert found["cut.jpg"]["reason"] == "corrupt"
    assert found["letter.jpg"]["reason"] == "not_an_image"
    assert found["letter.jpg"]["message"]


def test_what_is_assessed_has_a_grade_and_no_afterwards(home, assessed):
    for name in NAMES:
        row = rows(home)[name]
        assert row["grade_before"] in GRADES
        assert sum(row[f"{grade}_before"] for grade in GRADES) == pytest.approx(1, abs=1e-5)
        assert (row["width"], row["height"]) == (320, 320)
        assert all(row[f"{m}_before"] is not None for m in QUALITY_MEASURES)
        afterwards = [*(f"{m}_after" for m in QUALITY_MEASURES), "grade_after", "fidelity"]
        assert all(row[column] is None for column in [*afterwards, "output", "weights"])


def test_no_image_is_written_and_the_archive_is_as_it_was(home, assessed):
    written = [p for p in (home / "out").rglob("*") if p.is_file()]
    assert not [p for p in written if p.suffix in {".jpg", ".png", ".tif", ".webp"}]
    kept = {str(p.relative_to(home / "archive")) for p in (home / "archive").rglob("*.*")}
    assert kept == {*NAMES, "cut.jpg", "letter.jpg"}


def test_the_second_time_there_is_nothing_to_do(home, assessed, monkeypatch, capsys):
    monkeypatch.chdir(home)
    before = rows(home)
    code = main(["assess", "archive", "--workers", "0"])
    assert code == 3, "two images are still failed"
    assert "Nothing to do" in capsys.readouterr().err
    assert rows(home) == before


def test_the_report_tells_of_it(home, assessed, monkeypatch, capsys):
    monkeypatch.chdir(home)
    assert main(["report", "out"]) == 0, capsys.readouterr().err
    pages = list((home / "out").rglob("*.html"))
    assert pages
    text = pages[0].read_text()
    assert "letter.jpg" in text and "assessed" in text.lower()


def test_an_archive_that_is_not_there_is_a_usage_error(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["assess", "nowhere", "--workers", "0"]) == 2
    assert "nowhere: no such folder or file" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out").exists()
