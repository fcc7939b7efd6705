"""`magenet train`, end to end: weights with a card, and a resume that changes nothing."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
import torch
from safetensors.torch import load_file

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_USAGE, TrainingError
from magenet_batch.models.catalog import read_weights_file
from magenet_batch.phantom import make_phantom
from magenet_batch.training.progress import Reporter
from magenet_batch.training.recipes.load import load_recipe
from magenet_batch.training.run import train

QUICK = ["schedule.steps=5", "structure.steps=2", "validation.every=3", "data.size=64"]


def changes(output: Path, *more: str) -> list[str]:
    return [*QUICK, f"run.output={output}", *more]


def options(output: Path) -> list[str]:
    return [word for change in changes(output) for word in ("--set", change)]


def losses(folder: Path) -> list[dict]:
    lines = (folder / "curves.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.slow
def test_a_run_ends_with_weights_card_curves_and_pictures(tmp_path: Path):
    assert main(["train", "recipes/smoke.toml", *options(tmp_path / "run")]) == EXIT_DONE
    weights = read_weights_file(str(tmp_path / "run" / "smoke.safetensors"))
    assert weights.notes["clean images"] == "phantom:12"
    assert weights.notes["steps"] == "5"
    assert "psnr_gain" in (tmp_path / "run" / "smoke.md").read_text()
    assert len(list((tmp_path / "run" / "pictures").glob("*.jpg"))) == 2
    groups = {line["group"] for line in losses(tmp_path / "run")}
    assert groups == {"train", "validation"}


class PressCtrlC(Reporter):
    """Presses Ctrl-C after the second step."""

    def step(self, step: int, share: float, numbers: dict, *, seconds: float) -> None:
        if step == 2:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums in one order, so that losses can be compared exactly."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_a_run_resumed_after_ctrl_c_has_the_losses_of_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(["train", "smoke", *options(whole)]) == EXIT_DONE

    with monkeypatch.context() as patched:
        patched.setattr("magenet_batch.training.run.Reporter", PressCtrlC)
        assert main(["train", "smoke", *options(parts)]) == EXIT_INTERRUPTED
    assert "stopped at step 2; the same command goes on from there" in capsys.readouterr().err
    assert [line["step"] for line in losses(parts)] == [1, 2]
    assert not (parts / "smoke.safetensors").exists()

    assert main(["train", "smoke", *options(parts)]) == EXIT_DONE
    assert "resuming at step 2" in capsys.readouterr().err
    assert losses(parts) == losses(whole)
    a, b = (load_file(folder / "smoke.safetensors") for folder in (whole, parts))
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


@pytest.mark.slow
def test_a_run_in_segments_stops_by_itself_and_goes_on(tmp_path: Path):
    segment = ["train", "smoke", *options(tmp_path), "--stop-after", "0.00001"]
    assert main(segment) == EXIT_INTERRUPTED
    assert [line["step"] for line in losses(tmp_path)] == [1]
    assert main(segment) == EXIT_INTERRUPTED
    assert main(["train", "smoke", *options(tmp_path)]) == EXIT_DONE
    steps = [x["step"] for x in losses(tmp_path) if x["group"] == "train"]
    assert steps == [1, 2, 3, 4, 5]


ON_PHANTOMS = [
    'data.clean=["phantom:3"]', 'data.real=["phantom:2@9"]', 'data.vessels=["phantom:2"]',
    'data.validation=["phantom:1@5"]', "data.size=64", "structure.size=64", "structure.batch=2",
    "schedule.views=[[64, 1, 1.0, 1.0]]", "schedule.batch=1", "consistency.batch=1",
    "validation.size=64", "structure.steps=1", "schedule.steps=2", "validation.every=2",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", sorted({"default", "small", "continue", "paper", "unet", "single_stage"})
)
def test_every_shipped_recipe_trains(name: str, tmp_path: Path):
    recipe = load_recipe(name, changes=[*ON_PHANTOMS, f"run.output={tmp_path}"])
    assert train(recipe) == EXIT_DONE
    assert (tmp_path / f"{recipe.run.name}.safetensors").is_file()


@pytest.mark.slow
def test_shipped_weights_adapt_to_an_archive_without_labels(tmp_path: Path):
    """Nested folders, a broken file among them; only the archive is given."""
    archive = tmp_path / "archive" / "site"
    archive.mkdir(parents=True)
    for seed in range(4):
        pixels = make_phantom(seed, size=128).pixels
        cv2.imwrite(str(archive / f"{seed}.png"), pixels[..., ::-1])
    (archive / "broken.jpg").write_bytes(b"no image")
    words = [
        f"data.real={tmp_path / 'archive'}", "data.size=128", "schedule.steps=2",
        "schedule.batch=2", "schedule.views=[[64, 1, 1.0, 1.0]]", "consistency.batch=2",
        f"run.output={tmp_path / 'run'}",
    ]  # fmt: skip
    before = load_file(read_weights_file("small").path)
    options = [word for change in words for word in ("--set", change)]
    assert main(["train", "recipes/adapt.toml", *options]) == EXIT_DONE
    after = load_file(tmp_path / "run" / "adapted.safetensors")
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed
    assert not any(key.startswith("structure.") for key in changed)
