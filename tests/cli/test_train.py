"""`magenet train`, end to end: weights with a card, and a resume that changes nothing."""

import json
from pathlib import Path

import pytest
import torch

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_DONE, EXIT_USAGE, TrainingError
from magenet_batch.models.shelf import read_weights_file
from magenet_batch.recipes.load import load_recipe
from magenet_batch.recipes.train import settings_of, train
from magenet_batch.training.progress import Reporter
from magenet_batch.training.trainer import Trainer

QUICK = ["schedule.steps=5", "structure.steps=2", "validation.every=3", "data.size=64"]


def changes(output: Path, *more: str) -> list[str]:
    return [*QUICK, f"run.output={output}", *more]


def losses(folder: Path) -> list[dict]:
    lines = (folder / "curves.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.slow
def test_a_run_ends_with_weights_card_curves_and_pictures(tmp_path: Path):
    given = [word for change in changes(tmp_path / "run") for word in ("--set", change)]
    assert main(["train", "recipes/smoke.toml", *given]) == EXIT_DONE
    weights = read_weights_file(str(tmp_path / "run" / "smoke.safetensors"))
    assert weights.notes["clean images"] == "phantom:12"
    assert weights.notes["steps"] == "5"
    assert "psnr_gain" in (tmp_path / "run" / "smoke.md").read_text()
    assert len(list((tmp_path / "run" / "pictures").glob("*.jpg"))) == 2
    groups = {line["group"] for line in losses(tmp_path / "run")}
    assert groups == {"train", "validation"}


class StopAt(Reporter):
    """Interrupts a run after a step, as Ctrl-C would."""

    trainer: Trainer

    def __init__(self, last: int) -> None:
        super().__init__()
        self._last_step = last

    def step(self, step: int, share: float, numbers: dict, *, seconds: float) -> None:
        self.trainer.stop_asked = step >= self._last_step


@pytest.mark.slow
def test_a_resumed_run_has_the_losses_of_an_uninterrupted_one(tmp_path: Path):
    torch.set_num_threads(1)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(load_recipe("smoke", changes=changes(whole))) == EXIT_DONE

    reporter = StopAt(2)
    reporter.trainer = Trainer(
        settings_of(load_recipe("smoke", changes=changes(parts))), reporter=reporter
    )
    reporter.trainer.run()
    assert reporter.trainer.progress.step == 2
    assert train(load_recipe("smoke", changes=changes(parts))) == EXIT_DONE

    assert losses(parts) == losses(whole)
    one, two = (f / "smoke.safetensors" for f in (whole, parts))
    from safetensors.torch import load_file

    a, b = load_file(one), load_file(two)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.slow
def test_another_recipe_does_not_go_on_from_the_checkpoint(tmp_path: Path):
    assert train(load_recipe("smoke", changes=changes(tmp_path))) == EXIT_DONE
    with pytest.raises(TrainingError, match="another recipe"):
        train(load_recipe("smoke", changes=changes(tmp_path, "loss.ssim=0.3")))


def test_missing_data_and_wrong_words_are_said_before_training(tmp_path: Path):
    assert main(["train", "recipes/smoke.toml", "--set", "loss.sim=1"]) == EXIT_USAGE
    with pytest.raises(TrainingError, match=r"--set data\.root=FOLDER"):
        train(load_recipe("smoke", changes=changes(tmp_path, 'data.vessels=["nowhere"]')))
