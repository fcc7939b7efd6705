"""The blind contact sheet: the key is right, the tally counts."""

import importlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from magenet_batch.phantom import make_phantom

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("contact_sheet")


def key_of(*orders: str, kept: str | None = None) -> dict:
    kinds = {"o": "original", "u": "ours", "c": "clahe"}
    rows = {
        str(number): {"kept": kept, **{x: kinds[k] for x, k in zip("ABC", order, strict=True)}}
        for number, order in enumerate(orders, start=1)
    }
    return {"rows": rows}


def test_the_tally_counts_by_the_key(script):
    answers = {"1": "B>A=C", "2": "b > a > c", "3": "A=B=C", "4": ""}
    found = script.tally(answers, key_of("ouc", "uoc", "ouc", "ouc"))
    assert found["to the original"] == {"preferred": 1, "equal": 1, "worse": 1}
    assert found["to the clahe"] == {"preferred": 2, "equal": 1, "worse": 0}
    assert found["to the original, of those delivered"] == found["to the original"]
    kept = script.tally(answers, key_of("ouc", "uoc", "ouc", "ouc", kept="good"))
    assert sum(kept["to the original, of those delivered"].values()) == 0


@pytest.mark.parametrize("answer", ["A", "A>B", "A>A>B", "A>B>D", "ABC", "A>B>C>A"])
def test_an_answer_that_ranks_nothing_is_refused(script, answer: str):
    with pytest.raises(script.UsageError, match="rank all three"):
        script.ranks(answer)


def test_an_answer_to_no_row_is_refused(script):
    with pytest.raises(script.UsageError, match="no row 9"):
        script.tally({"9": "A>B>C"}, key_of("ouc"))


def test_pages_show_what_the_key_says(script, tmp_path: Path, capsys: pytest.CaptureFixture):
    for seed, folder in enumerate(script.FOLDERS):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for number in range(2):
            pixels = make_phantom(2 * seed + number, size=200).pixels
            cv2.imwrite(str(tmp_path / "data" / folder / f"{number}.png"), pixels[..., ::-1])
    out = tmp_path / "sheet"
    words = ["--data", str(tmp_path / "data"), "--weights", "identity", "--images", "6"]
    script.main([*words, "-o", str(out)])
    key = json.loads((out / "key.json").read_text())
    assert len(key["rows"]) == 6 and sorted(p.name for p in out.glob("*.png")) == [
        "page_1.png", "page_2.png",
    ]  # fmt: skip
    page = cv2.imread(str(out / "page_1.png"))
    for number in range(5):
        entry = key["rows"][str(number + 1)]
        top = number * (script.HEAD + script.TILE) + script.HEAD
        row = page[top : top + script.TILE]
        tiles = {
            entry[letter]: row[:, i * script.TILE : (i + 1) * script.TILE]
            for i, letter in enumerate("ABC")
        }
        assert np.array_equal(tiles["original"], tiles["ours"])
        assert not np.array_equal(tiles["original"], tiles["clahe"])
    again = tmp_path / "again"
    script.main([*words, "-o", str(again)])
    assert (again / "page_2.png").read_bytes() == (out / "page_2.png").read_bytes()
    (tmp_path / "given.json").write_text(json.dumps(dict.fromkeys(key["rows"], "A=B=C")))
    script.main(["--tally", str(tmp_path / "given.json"), str(out / "key.json")])
    assert "| to the original | 0 | 6 | 0 |" in capsys.readouterr().out


def test_missing_answers_are_said_clearly(script, tmp_path: Path):
    with pytest.raises(SystemExit, match="cannot be read"):
        script.main(["--tally", str(tmp_path / "a.json"), str(tmp_path / "k.json")])
