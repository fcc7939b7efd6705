import hashlib

import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
from PIL import Image

from magenet_batch.errors import UsageError
from magenet_batch.evaluation import demo
from magenet_batch.evaluation.demo import MANIFEST, make_demo_archive


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    monkeypatch.setattr(demo, "_SHAPES", ((96, 96), (128, 96)))


def _digest(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_archive_is_varied_and_the_same_for_the_same_seed(tmp_path):
    made = make_demo_archive(tmp_path / "a", images=12, seed=3)
    files = _digest(tmp_path / "a")
    assert made.images == 12
    assert len(files) == 13
    assert {name.rsplit(".", 1)[1] for name in files} == {"jpg", "png", "tif", "parquet"}
    assert len({name.rsplit("/", 1)[0] for name in files}) >= 5
    assert 4 <= made.degraded <= 8
    make_demo_archive(tmp_path / "b", images=12, seed=3)
    assert _digest(tmp_path / "b") == files
    make_demo_archive(tmp_path / "c", images=12, seed=4)
    assert set(_digest(tmp_path / "c").values()).isdisjoint(files.values())


def test_formats_are_what_they_say(tmp_path):
    made = make_demo_archive(tmp_path / "a", images=6)
    tiff = tifffile.imread(next((tmp_path / "a").rglob("*.tif")))
    assert tiff.dtype == np.uint16
    assert len(np.unique(tiff & 0xFF)) > 200
    with pytest.raises(OSError, match="truncated"):
        Image.open(made.folder / made.corrupt).load()
    manifest = pq.read_table(tmp_path / "a" / MANIFEST)
    assert manifest.column_names == ["path", "site", "camera"]
    assert all((tmp_path / "a" / path).is_file() for path in manifest["path"].to_pylist())


def test_it_writes_over_its_own_archive_only(tmp_path):
    make_demo_archive(tmp_path / "a", images=2)
    make_demo_archive(tmp_path / "a", images=2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_bytes(b"dear")
    with pytest.raises(UsageError, match="not made by"):
        make_demo_archive(tmp_path / "mine", images=2)
    assert (tmp_path / "mine" / "photo.jpg").read_bytes() == b"dear"


def test_too_few_images_are_refused(tmp_path):
    with pytest.raises(UsageError, match="at least 2"):
        make_demo_archive(tmp_path / "a", images=1)


def test_archive_only_prints_where_it_is(tmp_path, capsys):
    from magenet_batch.cli.main import main

    assert main(["demo", "-o", str(tmp_path / "demo"), "--images", "2", "--archive-only"]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str((tmp_path / "demo" / "archive").resolve())
    assert "deliberately truncated" in said.err
