"""`magenet evaluate`, end to end on phantoms: repeatable to the last digit, replayable, honest."""

import json
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from magenet_batch.cli.main import main
from magenet_batch.degradation import DegradationParams
from magenet_batch.errors import EXIT_DONE, EXIT_USAGE
from magenet_batch.models.config import magenet_config
from magenet_batch.models.magenet import MageNet
from magenet_batch.models.weights import save_weights
from magenet_batch.phantom import make_phantom


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three phantoms with masks of vessels and of one kind of lesion, and weights."""
    root = tmp_path_factory.mktemp("evaluate")
    for kind in ("vessels", "lesions"):
        for sub in ("images", "masks"):
            (root / kind / sub).mkdir(parents=True)
    for seed in range(3):
        phantom = make_phantom(seed, size=192)
        lesion = np.zeros((192, 192), np.uint8)
        lesion[90:98, 60:68] = 255
        pixels = phantom.pixels.copy()
        pixels[lesion > 0] //= 2
        vessels = (phantom.vessels > 0.5).astype(np.uint8) * 255
        for kind in ("vessels", "lesions"):
            cv2.imwrite(str(root / kind / "images" / f"{seed}.png"), pixels[..., ::-1])
        cv2.imwrite(str(root / "vessels" / "masks" / f"{seed}.png"), vessels)
        cv2.imwrite(str(root / "lesions" / "masks" / f"{seed}_HE.png"), lesion)
    torch.manual_seed(0)
    save_weights(MageNet(magenet_config("tiny")), root / "w.safetensors", name="t", notes={})
    return root


def arguments(folder: Path, out: Path) -> list[str]:
    return [
        "evaluate", "--weights", str(folder / "w.safetensors"),
        "--clean", str(folder / "vessels" / "images"), "--vessels", str(folder / "vessels"),
        "--lesions", str(folder / "lesions"), "--real", str(folder / "lesions"),
        "--against", "clahe,graham", "--presets", "evaluation,clean", "--size", "192",
        "-o", str(out),
    ]  # fmt: skip


@pytest.mark.slow
def test_two_runs_agree_to_the_last_digit_and_an_untrained_network_changes_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for out in ("one", "two"):
        assert main(arguments(folder, tmp_path / out)) == EXIT_DONE
    assert "Vessels, evaluation" in capsys.readouterr().out
    one, two = tmp_path / "one", tmp_path / "two"
    for name in ("summary.md", "summary.json", "index.html"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    assert (one / "measures.parquet").read_bytes() == (two / "measures.parquet").read_bytes()
    found = json.loads((one / "summary.json").read_text())["numbers"]
    assert found["synthetic"]["clean"]["magenet"]["psnr"]["value"] == 60
    assert found["synthetic"]["evaluation"]["clahe"]["psnr"]["value"] < 40
    assert found["lesions"]["clean"]["magenet"]["contrast"]["value"] == pytest.approx(1)
    assert found["vessels"]["clean"]["clean ceiling"] == found["vessels"]["clean"]["identity"]
    assert {"magenet", "graham"} <= set(found["real"]["lesions"])


@pytest.mark.slow
def test_every_degradation_is_recorded_for_replay(folder: Path, tmp_path: Path):
    assert main(arguments(folder, tmp_path)) == EXIT_DONE
    recorded = pq.read_table(tmp_path / "degradations.parquet").to_pylist()
    assert len(recorded) == 3 * 2 * 3  # images, presets, parts
    for entry in recorded:
        params = DegradationParams.from_record(entry["record"])
        assert bool(params.kinds()) == (entry["preset"] != "clean")


def test_wrong_words_are_said_before_anything_is_measured(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    weights = ["--weights", str(folder / "w.safetensors")]
    assert main(["evaluate", *weights, "-o", str(tmp_path)]) == EXIT_USAGE
    assert "Nothing to evaluate" in capsys.readouterr().err
    clean = ["--clean", str(folder / "vessels")]
    assert main(["evaluate", *weights, *clean, "--against", "clahee"]) == EXIT_USAGE
    assert "did you mean 'clahe'" in capsys.readouterr().err
    assert main(["evaluate", *weights, *clean, "--presets", "evil"]) == EXIT_USAGE
    assert not list(tmp_path.iterdir())
