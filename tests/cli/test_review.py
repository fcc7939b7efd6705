"""`magenet review` as a user types it, and every command that counts, held against each other."""

from __future__ import annotations

import csv
import io
import json
import re

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import strangers
from safetensors.numpy import save_file
from test_delivery import Fake, haemorrhage

from magenet_batch.cli.main import main
from magenet_batch.jobs import run
from magenet_batch.phantom import make_phantom
from magenet_batch.records.vocabulary import STATUSES


@pytest.fixture
def home(tmp_path, monkeypatch, capsys):
    """A finished job with an image of every outcome; `call` runs a command on it."""
    monkeypatch.chdir(tmp_path)
    metadata = {"format": "magenet-1", "config": "{}", "name": "fake"}
    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "fake.safetensors", metadata=metadata)
    eye = make_phantom(4, size=400).pixels
    pictures = {
        "fine.png": make_phantom(3, size=400).pixels, "bleached.png": haemorrhage(eye),
        "grey.png": strangers.grey(), "fog.png": strangers.fogged(),
    }  # fmt: skip
    (tmp_path / "archive").mkdir()
    for name, pixels in pictures.items():
        cv2.imwrite(str(tmp_path / "archive" / name), pixels[..., ::-1])
    (tmp_path / "archive" / "torn.png").write_bytes(b"no image")

    def change(pixels):
        return haemorrhage(eye, 0.5) if (pixels == haemorrhage(eye)).all() else pixels

    monkeypatch.setattr(run, "load_enhancer", lambda *how, **weights: Fake(change))

    def call(*arguments):
        code = main(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    call("enhance", "archive", "-o", "out", "--weights", "fake.safetensors", "--workers", "0",
         "--gpus", "0", "--policy-set", "good=off", "--policy-set", "reject=off")  # fmt: skip
    call.rows = lambda: {
        r["image_id"]: r
        for f in sorted((tmp_path / "out/rows").iterdir())
        for r in pq.read_table(f).to_pylist()
    }
    call.path = tmp_path
    return call


def write(home, text):
    (home.path / "decisions.csv").write_text(text)
    return ("review", "out", "--apply", "decisions.csv")


def test_decisions_are_listed_tried_applied_and_taken_back(home):
    code, out, _ = home("review", "out")
    assert code == 0
    assert "1 to review, 0 reviewed." in out
    assert "bleached.png  withheld: an area lost contrast" in out
    assert "magenet review out --apply decisions.csv" in out
    images = {p.name: p.read_bytes() for p in (home.path / "out/images").iterdir()}
    rows = home.rows()
    command = write(home, "image_id,decision\nbleached.png,deliver\nfine.png,withhold\n")
    code, out, _ = home(*command, "--dry-run")
    assert code == 0 and "2 would be decided: 1 delivered enhanced, 1 withheld." in out
    assert home.rows() == rows
    code, out, err = home(*command, "--reviewer", "Dr. B")
    assert code == 0 and "2 decided: 1 delivered enhanced, 1 withheld." in out
    assert "made again" in err
    now = home.rows()
    assert [now[n]["reviewer"] for n in ("bleached.png", "fine.png")] == ["Dr. B", "Dr. B"]
    found = {p.name: p.read_bytes() for p in (home.path / "out/images").iterdir()}
    given = {p.name: p.read_bytes() for p in (home.path / "archive").iterdir()}
    assert found["fine.png"] == given["fine.png"] != images["fine.png"]
    assert found["bleached.png"] != given["bleached.png"] == images["bleached.png"]
    code, out, _ = home("review", "out", "--json")
    assert json.loads(out)["reviewed"] == 2 and json.loads(out)["to_review"] == []
    code, out, _ = home("review", "out", "--undo", "--json")
    assert code == 0 and json.loads(out)["applied"]["undone"] == 2
    assert home.rows() == rows
    assert {p.name: p.read_bytes() for p in (home.path / "out/images").iterdir()} == images


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image_id,decision\nnobody.png,deliver\n", "line 2: no image of this job"),
        ("image_id,decision\nfine.png,accept\n", "no decision is called 'accept'"),
        ("image_id,decision\nfine.png,undo\nfine.png,undo\n", "was decided in line 2 already"),
        ("job,image_id,decision\nother,fine.png,undo\n", "it is about the job other"),
        ("image_id,decision\nfog.png,deliver\n", "fog.png: it was never enhanced"),
        ("name\n", "has no column image_id"),
    ],
)
def test_bad_files_change_nothing_and_say_why(home, text, said):
    rows = home.rows()
    code, _, err = home(*write(home, text))
    assert code == 2 and said in err and "Traceback" not in err
    assert home.rows() == rows


def test_wrong_commands_are_explained(home):
    assert home("review", "nowhere")[0] == 2
    assert home("review", "out", "--apply", "no.csv")[0] == 2
    code, _, err = home(*write(home, "image_id,decision\n"), "--undo")
    assert code == 2 and "exclude each other" in err


def test_what_cannot_be_obeyed_ends_with_3(home):
    (home.path / "archive/fine.png").unlink()
    code, out, _ = home(*write(home, "image_id,decision\nfine.png,withhold\n"))
    assert code == 3 and "1 could not be obeyed, and are as they were:" in out


def numbers_of_page(text):
    """The tiles and the rows of the table, as the HTML page shows them."""
    tiles = dict(re.findall(r"<dt>([^<]+)</dt><dd>([\d,]+)</dd>", text))
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    at = data["columns"].index("status")
    return tiles, [row[at] for row in data["rows"]]


@pytest.mark.parametrize("reviewed", [False, True], ids=["as enhanced", "after a review"])
def test_every_command_and_format_counts_the_same(home, reviewed):
    """One run with every outcome: terminal, status, review, JSON, HTML, Markdown, text and CSV."""
    said = home("enhance", "archive", "-o", "out", "--weights", "fake.safetensors", "--workers",
                "0", "--gpus", "0", "--policy-set", "good=off", "--policy-set", "reject=off",
                "--json")  # fmt: skip
    if reviewed:
        said = home(*write(home, "image_id,decision\nbleached.png,deliver\nfine.png,withhold\n"),
                    "--json")  # fmt: skip
    counted = [json.loads(said[1]), json.loads(home("status", "out", "--json")[1]),
               json.loads(home("report", "out", "-f", "json")[1])]  # fmt: skip
    told = csv.DictReader(io.StringIO(home("report", "out", "-f", "csv")[1], newline=""))
    from_csv = list(told)
    by_status = {s: sum(row["status"] == s for row in from_csv) for s in STATUSES}
    assert by_status == {"enhanced": 1, "kept": 1, "withheld": 2, "assessed": 0, "failed": 1}
    keys = {
        "images",
        "done",
        "headline",
        "verdict",
        "gradable",
        "became_gradable",
        "flagged",
        "to_review",
        "reviewed",
        *STATUSES,
        *(f"{s}_by_reason" for s in ("kept", "withheld", "failed")),
    }
    for found in counted:
        assert {key: found[key] for key in keys} == {key: counted[0][key] for key in keys}
        assert {s: found[s] for s in STATUSES} == by_status
        assert sum(by_status.values()) == found["images"] == len(from_csv) == 5
        for status in ("kept", "withheld", "failed"):
            reasons = [r["reason"] for r in from_csv if r["status"] == status]
            assert found[f"{status}_by_reason"] == {r: reasons.count(r) for r in reasons}
        assert found["flagged"] == sum(bool(row["flags"]) for row in from_csv)
        decisions = [row["decision"] for row in from_csv]
        assert found["reviewed"] == {d: decisions.count(d) for d in ("deliver", "withhold")}
    home("report", "out", "-o", "page.html")
    page = (home.path / "page.html").read_text(encoding="utf-8")
    texts = [home("status", "out")[1], home("report", "out", "-f", "md")[1],
             home("report", "out", "-f", "text")[1], page]  # fmt: skip
    reason = "1 by a reviewer" if reviewed else "1 an area lost contrast"
    for text in texts:
        assert counted[0]["headline"] in text
        assert "1 delivered as they came: 1 grey." in text
        assert "1 failed: 1 not an image." in text
        assert re.search(rf"2 withheld: (1 almost nothing visible, {reason}"
                         rf"|{reason}, 1 almost nothing visible)\.", text)  # fmt: skip
        assert ("2 reviewed: 1 to deliver, 1 to withhold." in text) == reviewed
        assert ("1 to review: 1 withheld." in text) == (not reviewed)
    tiles, statuses = numbers_of_page(page)
    words = {"delivered enhanced": "enhanced", "delivered as they came": "kept",
             "withheld": "withheld", "failed": "failed"}  # fmt: skip
    assert {words[w]: int(n) for w, n in tiles.items() if w in words} == {
        s: by_status[s] for s in words.values()
    }
    assert int(tiles["images in all"]) == sum(int(tiles[w]) for w in words) == len(statuses)
    assert {s: statuses.count(s) for s in STATUSES} == by_status
    found = counted[0]["gradable"]
    changed = found["gained"] or found["lost"]
    tile, count = ("became gradable", "gained") if changed else ("gradable, as before", "before")
    assert int(tiles[tile]) == found[count]
    for text in texts:
        assert all(part[1:] in text for part in counted[0]["verdict"].split(": "))
