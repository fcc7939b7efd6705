"""`magenet degrade`: copies that can be repeated from their Parquet file."""

from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_DONE, EXIT_USAGE
from magenet_batch.phantom import make_phantom


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "site").mkdir(parents=True)
    for seed in range(2):
        pixels = make_phantom(seed, size=128).pixels
        cv2.imwrite(str(tmp_path / "in" / "site" / f"{seed}.png"), pixels[..., ::-1])
    (tmp_path / "in" / "broken.jpg").write_bytes(b"no image")
    return tmp_path


@pytest.mark.parametrize("preset", ["evaluation", "camera_evaluation"])
def test_copies_replay_to_the_same_bytes(
    preset: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    given = ["degrade", str(folder / "in")]
    drawn = [*given, "-o", str(folder / "a"), "--copies", "2", "--preset", preset]
    assert main(drawn) == EXIT_DONE
    said = capsys.readouterr()
    assert "4 images" in said.out
    assert "broken.jpg is left out" in said.err
    recorded = folder / "a" / "degradations.parquet"
    assert main([*given, "-o", str(folder / "b"), "--replay", str(recorded)]) == EXIT_DONE
    copies = sorted(p.relative_to(folder / "a") for p in (folder / "a").rglob("*.png"))
    assert len(copies) == 4
    clean = cv2.imread(str(folder / "in" / "site" / "0.png"))
    for path in copies:
        assert (folder / "a" / path).read_bytes() == (folder / "b" / path).read_bytes()
        assert not np.array_equal(cv2.imread(str(folder / "a" / path)), clean)


def test_what_would_do_harm_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]):
    source = str(folder / "in")
    assert main(["degrade", source, "-o", source]) == EXIT_USAGE
    assert main(["degrade", source, "-o", str(folder / "c"), "--preset", "evl"]) == EXIT_USAGE
    evil = folder / "evil.parquet"
    rows = {"image": ["site/0.png"], "output": ["../../x.png"], "record": ["{}"]}
    pq.write_table(pa.table(rows), evil)
    assert main(["degrade", source, "-o", str(folder / "c"), "--replay", str(evil)]) == EXIT_USAGE
    assert "outside its folder" in capsys.readouterr().err
    pq.write_table(pa.table({"a": [1]}), evil)
    assert main(["degrade", source, "-o", str(folder / "c"), "--replay", str(evil)]) == EXIT_USAGE
    assert not (folder / "c").exists()


@pytest.mark.parametrize("place", ["s3://bucket/copies", "ftp://host/copies"])
def test_copies_go_to_a_folder(folder: Path, capsys: pytest.CaptureFixture[str], place: str):
    assert main(["degrade", str(folder), "-o", place]) == EXIT_USAGE
    assert place in capsys.readouterr().err
