"""Nothing worse leaves, and what left is counted the same everywhere: as a user sees it."""

import csv
import io
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import strangers
from safetensors.numpy import save_file

from magenet_batch.cli.main import main
from magenet_batch.imaging.fov import find_fov
from magenet_batch.imaging.read import read_image
from magenet_batch.jobs import run
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.limits import LEAST

POLICIES = ("standard", "cautious", "all")
STATUSES = ("enhanced", "kept", "withheld", "assessed", "failed")


class Fake:
    """A network that does one thing to every image."""

    weights_name, weights_hash = "fake", "00"

    def __init__(self, change):
        self.change = change

    def enhance(self, pixels, fov, *, cancelled):
        nothing = dict.fromkeys(("vessels_before", "vessels_after", "estimates"))
        return type("E", (), {"pixels": self.change(pixels), **nothing})


def haemorrhage(pixels, share=1.0):
    """A dark area of a third of the radius, at a share of its contrast."""
    fov = find_fov(pixels)
    rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    away = np.hypot(rows - fov.y, columns - fov.x) / fov.radius
    inside = 1 / (1 + np.exp(np.clip((away - 0.33) / 0.008, -40, 40)))
    dark = share * inside[..., None] * (0.2, 0.45, 0.3)
    return np.rint(pixels * (1 - dark)).astype(np.uint8)


@pytest.fixture
def magenet(tmp_path, monkeypatch, capsys):
    """Run a command; for `enhance`, on these pictures with this network."""
    monkeypatch.chdir(tmp_path)
    metadata = {"format": "magenet-1", "config": "{}", "name": "fake"}
    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "fake.safetensors", metadata=metadata)

    def enhance(pictures, change, *arguments, out="out"):
        (tmp_path / "archive").mkdir(exist_ok=True)
        for name, content in pictures.items():
            if not isinstance(content, bytes):
                content = cv2.imencode(".png", content[..., ::-1])[1].tobytes()
            (tmp_path / "archive" / name).write_bytes(content)
        monkeypatch.setattr(run, "load_enhancer", lambda *how, **weights: Fake(change))
        code = main(["enhance", "archive", "-o", out, "--weights", "fake.safetensors",
                     "--workers", "0", "--gpus", "0", *arguments])  # fmt: skip
        said = capsys.readouterr()
        files = sorted((tmp_path / out / "rows").iterdir())
        rows = {r["image_id"]: r for f in files for r in pq.read_table(f).to_pylist()}
        return code, rows, said

    def call(*arguments):
        main(list(arguments))
        return capsys.readouterr().out

    enhance.call = call
    return enhance


def delivered(tmp_path, row, out="out"):
    return read_image((tmp_path / out / row["output"]).read_bytes()).pixels


@pytest.mark.parametrize("policy", POLICIES)
def test_a_haemorrhage_keeps_its_contrast_in_what_is_delivered(magenet, tmp_path, policy):
    eye = make_phantom(4, size=400).pixels
    before = haemorrhage(eye)
    sure = ("--policy-set", "good=off", "--policy-set", "reject=off")
    _, rows, _ = magenet(
        {"a.png": before}, lambda pixels: haemorrhage(eye, 0.5), "--policy", policy, *sure
    )
    row = rows["a.png"]
    assert (row["status"], row["reason"]) == ("withheld", "lesion_faded")
    assert "lesion_faded" in row["flags"] and row["area_contrast"] < LEAST["area_contrast"]
    assert (delivered(tmp_path, row) == before).all()
    assert "area" in json.loads(row["policy"])


@pytest.mark.parametrize("policy", POLICIES)
def test_a_fogged_or_black_frame_is_not_painted(magenet, tmp_path, policy):
    pictures = {"fog.png": strangers.fogged(), "black.png": strangers.black()}
    _, rows, _ = magenet(pictures, lambda pixels: make_phantom(1, size=400).pixels,
                         "--policy", policy)  # fmt: skip
    assert (rows["fog.png"]["status"], rows["fog.png"]["reason"]) == ("withheld", "hopeless")
    assert (rows["black.png"]["status"], rows["black.png"]["reason"]) == ("failed", "no_fov")
    assert not (tmp_path / "out" / "images").exists()


def test_what_was_painted_on_a_surface_is_withheld(magenet, tmp_path):
    _, rows, _ = magenet(
        {"fog.png": strangers.fogged()}, lambda p: make_phantom(0, size=400).pixels,
        "--policy", "all", "--policy-set", "seen=off",
    )  # fmt: skip
    assert (rows["fog.png"]["status"], rows["fog.png"]["reason"]) == ("withheld", "invented")
    assert (delivered(tmp_path, rows["fog.png"]) == strangers.fogged()).all()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("grey", ["keep", "enhance"])
def test_a_grey_image_stays_grey(magenet, tmp_path, policy, grey):
    def tinted(pixels):
        return np.clip(pixels * (1.2, 1.1, 0.6), 0, 255).astype(np.uint8)

    sure = [f"--policy-set={name}=off" for name in ("good", "reject", "visible")]
    _, rows, _ = magenet({"a.png": strangers.grey()}, tinted, "--policy", policy, "--grey", grey,
                         *sure)  # fmt: skip
    row = rows["a.png"]
    pixels = delivered(tmp_path, row)
    assert (np.ptp(pixels, axis=2) == 0).all() and row["flags"][0] == "not_colour"
    if grey == "keep":
        assert (row["status"], row["reason"]) == ("kept", "not_colour")
        assert (pixels == strangers.grey()).all()
    else:
        assert row["status"] == "enhanced" and (pixels != strangers.grey()).any()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_clean_image_of_an_unknown_camera_keeps_its_colours(magenet, tmp_path, policy):
    eye = make_phantom(2, size=400).pixels
    unknown = np.clip(eye * (0.55, 0.95, 1.4), 0, 255).astype(np.uint8)

    def orange(pixels):
        return np.clip(pixels * (1.9, 0.9, 0.3), 0, 255).astype(np.uint8)

    _, rows, _ = magenet({"a.png": unknown}, lambda pixels: pixels, "--policy", policy)
    assert (delivered(tmp_path, rows["a.png"]) == unknown).all()


def test_strangers_are_delivered_as_they_came(magenet, tmp_path):
    pictures = {"two.png": strangers.two_fields(), "eye.png": strangers.external_eye(),
                "mask.png": strangers.vessel_mask()}  # fmt: skip
    code, rows, said = magenet(pictures, lambda pixels: 255 - pixels)
    assert code == 0
    found = {name: (row["status"], row["reason"]) for name, row in rows.items()}
    assert found == {
        "two.png": ("kept", "several_fields"), "eye.png": ("kept", "not_fundus"),
        "mask.png": ("kept", "not_fundus"),
    }  # fmt: skip
    for name, row in rows.items():
        assert row["flags"] == [row["reason"]]
        assert (delivered(tmp_path, row) == pictures[name]).all()
    assert "0 of 3 delivered enhanced; 3 delivered as they came." in said.err


def test_every_command_says_the_same(magenet):
    eye = make_phantom(4, size=400).pixels
    pictures = {
        "fine.png": make_phantom(3, size=400).pixels, "bleached.png": haemorrhage(eye),
        "grey.png": strangers.grey(), "fog.png": strangers.fogged(), "torn.png": b"no image",
    }  # fmt: skip

    def change(pixels):
        return haemorrhage(eye, 0.5) if (pixels == haemorrhage(eye)).all() else pixels

    sure = ("--policy-set", "good=off", "--policy-set", "reject=off")
    code, rows, said = magenet(pictures, change, "--json", *sure)
    headline = "1 of 5 delivered enhanced; 1 delivered as they came; 2 withheld; 1 failed."
    job = json.loads(said.out)
    status = json.loads(magenet.call("status", "out", "--json"))
    report = json.loads(magenet.call("report", "out", "-f", "json"))
    told = csv.DictReader(io.StringIO(magenet.call("report", "out", "-f", "csv"), newline=""))
    from_csv = [row["status"] for row in told]
    assert code == 3
    for found in (job, status, report):
        assert found["headline"] == headline
        assert {s: found[s] for s in STATUSES} == {s: from_csv.count(s) for s in STATUSES}
        assert sum(found[s] for s in STATUSES) == found["images"] == len(rows)
        assert found["withheld_by_reason"] == {"hopeless": 1, "lesion_faded": 1}
        assert found["kept_by_reason"] == {"not_colour": 1}
        assert found["failed_by_reason"] == {"not_an_image": 1}
    for text in (
        said.err,
        magenet.call("status", "out"),
        magenet.call("report", "out", "-f", "md"),
    ):
        assert headline in text
        for line in ("1 delivered as they came: 1 grey.", "1 failed: 1 not an image."):
            assert line in text
        assert re.search(r"2 withheld: 1 [\w ]+, 1 [\w ]+\.", text)
    magenet.call("report", "out", "-o", "page.html")
    assert headline in Path("page.html").read_text(encoding="utf-8")
