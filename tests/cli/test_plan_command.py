"""`magenet plan` as a user types it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file
from test_enhance import Doubled, write_fundus

from magenet_batch.cli.main import main
from magenet_batch.jobs import run


@pytest.fixture
def plan(tmp_path, monkeypatch, capsys):
    """Run the command on 24 images with a network that only brightens."""
    for name in range(24):
        write_fundus(tmp_path / "archive" / f"{name}.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "load_enhancer", lambda *how, **weights: Doubled())
    metadata = {"format": "magenet-1", "config": "{}", "name": "fake"}
    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "fake.safetensors", metadata=metadata)

    def call(*arguments: str) -> tuple[int, str, str]:
        usual = ["--weights", "fake.safetensors", "--workers", "0", "--gpus", "0"]
        code = main(["plan", "archive", *usual, *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_a_plan_says_how_long_and_what_it_costs(plan, tmp_path):
    code, out, err = plan("--deadline", "24h", "--price", "0.40")
    assert code == 0, err
    assert "measuring 24 of 24 images" in err
    assert "24 images" in out and "this machine is enough" in out and "x 0.4 =" in out
    assert {path.name for path in tmp_path.iterdir()} == {"archive", "fake.safetensors"}


def test_a_script_gets_json_alone(plan):
    code, out, _ = plan("--sample", "20", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["images"], found["sample"]["images"], found["machines"]) == (24, 20, 1)
    assert found["seconds"] > 0 and found["cost"] is None


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--deadline", "soon"), "'soon' is not a duration"),
        (("--deadline", "0.001s"), "Give a later --deadline"),
        (("--include", "*.png"), "No images in archive"),
    ],
)
def test_what_cannot_be_planned_is_refused(plan, arguments, why):
    code, out, err = plan(*arguments)
    assert (code, out) == (2, "") and why in err
