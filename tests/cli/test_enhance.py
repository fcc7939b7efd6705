"""`magenet enhance` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from magenet_batch import __version__
from magenet_batch.cli.main import main
from magenet_batch.jobs import run


def write_fundus(path: Path, *, size: int = 96) -> None:
    y, x = np.mgrid[:size, :size]
    inside = (x - size / 2) ** 2 + (y - size / 2) ** 2 < (0.46 * size) ** 2
    texture = 20 * np.sin(x / 7)[..., None] + np.array([40, 90, 180])
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.where(inside[..., None], texture, 0).astype(np.uint8))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for name in ("a.jpg", "a.png", "left/eye.jpg", "right/eye.jpg"):
        write_fundus(tmp_path / "archive" / name)
    return tmp_path / "archive"


class Doubled:
    weights_name, weights_hash = "fake", "00"

    def enhance(self, pixels, fov, *, cancelled=lambda: False):
        brighter = np.minimum(pixels.astype(int) * 2, 255).astype(pixels.dtype)
        return SimpleNamespace(
            pixels=brighter, vessels_before=None, vessels_after=None, estimates=None
        )


@pytest.fixture
def enhance(archive, tmp_path, monkeypatch, capsys):
    """Run the command with a network that only brightens; give exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "load_enhancer", lambda *how, **weights: Doubled())
    metadata = {"format": "magenet-1", "config": "{}", "name": "fake"}
    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "fake.safetensors", metadata=metadata)

    def call(*arguments: str, workers: str = "0") -> tuple[int, str, str]:
        usual = [
            "--weights",
            "fake.safetensors",
            "--workers",
            workers,
            "--gpus",
            "0",
            "--policy",
            "all",
        ]
        code = main(["enhance", "archive", *usual, *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_an_archive_is_enhanced_and_the_next_step_named(enhance, tmp_path):
    code, out, err = enhance()
    assert (code, out) == (0, "")
    assert "4 images" in err and "0 already done" in err and "magenet report" in err
    assert len([p for p in (tmp_path / "out" / "images").rglob("*") if p.is_file()]) == 4
    code, _, err = enhance()
    assert code == 0 and "Nothing to do: all 4 images are done." in err


def test_json_goes_to_stdout_alone(enhance, archive):
    (archive / "bad.jpg").write_bytes(b"")
    code, out, err = enhance("--json")
    found = json.loads(out)
    assert code == 3
    assert (found["images"], found["enhanced"], found["failed"]) == (5, 4, 1)
    assert found["failed_by_reason"] == {"empty": 1}
    assert "4 of 5 delivered enhanced; 1 failed." in err and "1 failed: 1 empty." in err


def test_dry_run_writes_nothing(enhance, tmp_path):
    code, out, _ = enhance("--dry-run")
    assert code == 0 and "4 images" in out and "images/a.jpg" in out
    assert not (tmp_path / "out").exists()
    assert "megapixels" in out and "roughly" in out
    assert json.loads(enhance("--dry-run", "--json")[1])["images"] == 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["enhance", "nowhere"], "nowhere: no such folder or file"),
        (["enhance", "archive", "-o", "archive"], "originals could be overwritten"),
        (["enhance", "archive", "--quality", "101"], "quality"),
        (["enhance", "archive", "--gpus", "64"], "--gpus 64: there is none"),
    ],
)
def test_usage_errors_are_sentences_with_exit_code_2(enhance, capsys, arguments, says):
    if says.startswith("--gpus") and run.gpu_count():
        pytest.skip("there are GPUs here")
    code = main([*arguments, "--weights", "fake.safetensors"])
    assert not Path("out").exists(), "nothing was begun"
    err = capsys.readouterr().err
    assert code == 2 and says in err.replace("\n", " ") and "Traceback" not in err


def test_changed_options_are_refused(enhance):
    enhance()
    code, _, err = enhance("--quality", "70")
    assert code == 2 and "quality: not set -> 70" in err and "-o" in err


def test_missing_weights_end_with_1(enhance, capsys):
    assert main(["enhance", "archive", "--weights", "nosuch"]) == 1
    assert "no weights 'nosuch'" in capsys.readouterr().err


def test_version_and_unknown_command(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"magenet {__version__}\n"
    assert main(["enhanse"]) == 2


def test_doctor_says_what_to_do(capsys):
    from magenet_batch.cli.doctor import examine

    code = main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)
    assert [f["name"] for f in findings] == [f.name for f in examine()]
    assert code == int(not all(f["ok"] for f in findings))
    assert all(f["advice"] for f in findings if not f["ok"])


@pytest.mark.ray
def test_a_real_network_on_ray(archive, tmp_path):
    from magenet_batch.models.catalog import read_weights_file
    from magenet_batch.models.config import magenet_config
    from magenet_batch.models.magenet import MageNet
    from magenet_batch.models.weights import save_weights

    weights, out = tmp_path / "untrained.safetensors", tmp_path / "out"
    save_weights(MageNet(magenet_config("tiny")), weights, name="untrained", notes={})
    arguments = ["enhance", str(archive), "-o", str(out), "--weights", str(weights)]
    assert main([*arguments, "--workers", "1", "--gpus", "0", "--policy", "all"]) == 0
    rows = [r for f in sorted((out / "rows").iterdir()) for r in pq.read_table(f).to_pylist()]
    assert [r["status"] for r in rows] == ["enhanced"] * 4
    assert {r["weights_hash"] for r in rows} == {read_weights_file(str(weights)).hash}
    assert {(r["width"], r["height"]) for r in rows} == {(96, 96)}
    for row in rows:
        assert cv2.imread(str(out / row["output"])).shape == (96, 96, 3)


def test_models_are_listed_without_loading_them(capsys):
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert "small" in [one["name"] for one in listed]
    assert all(len(one["hash"]) == 16 and one["notes"]["attribution"] for one in listed)


def test_models_are_listed_for_choosing_and_their_notes_on_request(capsys):
    from magenet_batch.models.catalog import shipped_names

    assert main(["models"]) == 0
    told = capsys.readouterr().out.splitlines()
    names = [line.split(":")[0] for line in told if not line.startswith(" ")]
    assert names[0] == "small" and told[0].endswith(", the default")
    assert set(names) == set(shipped_names()) and len(told) == 2 * len(names)
    assert main(["models", "--notes"]) == 0
    assert "  attribution: " in capsys.readouterr().out
