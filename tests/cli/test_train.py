"""`magenet train`, end to end, of both kinds of recipes: weights with a card, exact resumes."""

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest
import torch
from safetensors.torch import load_file

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_USAGE, TrainingError
from magenet_batch.models.catalog import read_weights_file
from magenet_batch.models.weights import load_weights
from magenet_batch.phantom import make_phantom
from magenet_batch.training.progress import Reporter
from magenet_batch.training.recipes.load import load_recipe, shipped_recipes
from magenet_batch.training.run import train


@dataclass(frozen=True)
class Kind:
    """A recipe of one kind, made quick.

    Attributes:
        recipe: its name.
        weights: the name of its weights.
        quick: changes.
        curves: where each part that is trained by steps writes its curves.
        matters: a change after which nothing is resumed.
        short: changes that leave several segments of one step in every phase, and no more.
    """

    recipe: str
    weights: str
    quick: tuple[str, ...]
    curves: tuple[str, ...]
    matters: str
    short: tuple[str, ...] = ()

    def changes(self, output: Path, *more: str) -> list[str]:
        # Exact numbers are compared, and some CPUs would compute in bf16.
        return [*self.quick, "run.precision=fp32", f"run.output={output}", *more]

    def command(self, output: Path, *more: str) -> list[str]:
        return ["train", self.recipe, *options(self.changes(output, *more))]

    def points(self, folder: Path) -> list[dict]:
        """All points of all curves."""
        lines = [
            line
            for name in self.curves
            if (folder / name).exists()
            for line in (folder / name).read_text().splitlines()
        ]
        return [json.loads(line) for line in lines]

    def tensors(self, folder: Path) -> dict[str, torch.Tensor]:
        return load_file(folder / f"{self.weights}.safetensors")


def options(changes: list[str]) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


AFFINE = Kind(
    "affine_smoke", "affine-smoke",
    ("schedule.steps=5", "structure.steps=2", "validation.every=3", "data.size=64"),
    ("curves.jsonl",), "loss.ssim=0.3",
)  # fmt: skip
PARTS = Kind(
    "smoke", "smoke",
    ("structure.steps=2", "structure.size=64", "structure.batch=2", "sense.samples=16",
     "sense.steps=4", "sensor.steps=5", "sensor.crop=64", "sensor.batch=4",
     "spots.steps=5", "light.steps=5", "light.batch=2", "light.real_batch=1",
     "validation.every=3", "validation.images=1", "data.size=192"),
    ("sensor/curves.jsonl", "spots/curves.jsonl", "light/curves.jsonl"), "light.detail=0.3",
    ("sensor.steps=3", "spots.steps=2", "light.steps=2", "sense.steps=2", "tone.steps=2"),
)  # fmt: skip
both = pytest.mark.parametrize("kind", [AFFINE, PARTS], ids=lambda kind: kind.recipe)


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    """Sums in one order, so that losses can be compared exactly; recipes set threads too."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


@pytest.mark.slow
@both
def test_a_run_ends_with_weights_card_and_curves(kind: Kind, tmp_path: Path):
    assert main(["train", f"recipes/{kind.recipe}.toml",
                 *options(kind.changes(tmp_path))]) == EXIT_DONE  # fmt: skip
    weights = read_weights_file(str(tmp_path / f"{kind.weights}.safetensors"))
    recipe = load_recipe(kind.recipe)
    assert weights.notes["clean images"] == recipe.data.clean[0]
    assert {"steps", "hours", "recipe", "validation"} <= set(weights.notes)
    card = (tmp_path / f"{kind.weights}.md").read_text()
    assert "gain" in card
    assert load_weights(str(weights.path))[0].config == recipe.model
    points = kind.points(tmp_path)
    assert {point["group"] for point in points} >= {"validation"}
    assert [p["step"] for p in points if p["group"] == "validation"] == [3, 5] * len(kind.curves)
    assert json.loads((tmp_path / "recipe.json").read_text())["model"]["size"] == "tiny"
    assert cv2.imread(str(tmp_path / "results.png")) is not None
    assert not list(tmp_path.glob("structure.checkpoint.*"))


@pytest.mark.slow
def test_a_run_of_the_affine_network_leaves_losses_and_pictures(tmp_path: Path):
    assert main(AFFINE.command(tmp_path)) == EXIT_DONE
    assert read_weights_file(str(tmp_path / "affine-smoke.safetensors")).notes["steps"] == "5"
    assert "psnr_gain" in (tmp_path / "affine-smoke.md").read_text()
    assert len(list((tmp_path / "pictures").glob("*.jpg"))) == 2
    assert {line["group"] for line in AFFINE.points(tmp_path)} == {"train", "validation"}


class PressCtrlC(Reporter):
    """Presses Ctrl-C at the first validation."""

    def validation(self, step: int, numbers: dict) -> None:
        if step == 3:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
@both
def test_a_run_resumed_after_ctrl_c_is_that_of_an_uninterrupted_one(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(kind.command(whole)) == EXIT_DONE

    with monkeypatch.context() as patched:
        patched.setattr("magenet_batch.training.run.make_reporter", PressCtrlC)
        for number in range(1, len(kind.curves) + 1):  # once in each part
            assert main(kind.command(parts)) == EXIT_INTERRUPTED
            assert "the same command" in capsys.readouterr().err
            measured = [p["step"] for p in kind.points(parts) if p["group"] == "validation"]
            assert measured == ([3, 5] * number)[: 2 * number - 1]
            assert not (parts / f"{kind.weights}.safetensors").exists()

    assert main(kind.command(parts)) == EXIT_DONE
    assert "resuming at step 3" in capsys.readouterr().err
    assert kind.points(parts) == kind.points(whole)
    a, b = kind.tensors(whole), kind.tensors(parts)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.slow
@both
def test_a_run_in_segments_stops_by_itself_and_resumes(kind: Kind, tmp_path: Path):
    """Each segment gets on, however short it is."""
    segment = [*kind.command(tmp_path / "parts", *kind.short), "--stop-after", "0.0000001"]
    codes = [main(segment)]
    while codes[-1] == EXIT_INTERRUPTED and len(codes) < 60:
        codes.append(main(segment))
    assert codes[-1] == EXIT_DONE
    assert len(codes) >= 5
    assert main(kind.command(tmp_path / "whole", *kind.short)) == EXIT_DONE
    assert kind.points(tmp_path / "parts") == kind.points(tmp_path / "whole")
    a, b = kind.tensors(tmp_path / "whole"), kind.tensors(tmp_path / "parts")
    assert all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.slow
@both
def test_another_recipe_does_not_resume_and_fresh_forgets(
    kind: Kind, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert train(load_recipe(kind.recipe, changes=kind.changes(tmp_path))) == EXIT_DONE
    other = kind.changes(tmp_path, kind.matters)
    with pytest.raises(TrainingError, match="another recipe"):
        train(load_recipe(kind.recipe, changes=other))
    before = kind.points(tmp_path)
    capsys.readouterr()
    assert main([*kind.command(tmp_path, kind.matters), "--fresh"]) == EXIT_DONE
    assert "resuming" not in capsys.readouterr().err
    after = kind.points(tmp_path)
    assert [p["step"] for p in after] == [p["step"] for p in before]
    assert after != before


@both
def test_missing_data_and_wrong_words_are_said_before_training(
    kind: Kind, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    table, _, rest = kind.matters.partition(".")
    key, value = rest.split("=")
    wrong = f"{table}.{key[1:]}={value}"
    assert main(["train", f"recipes/{kind.recipe}.toml", "--set", wrong]) == EXIT_USAGE
    assert f"did you mean '{key}'" in capsys.readouterr().err
    changes = kind.changes(tmp_path, 'data.vessels=["nowhere"]')
    with pytest.raises(TrainingError, match=r"--set data\.root=FOLDER"):
        train(load_recipe(kind.recipe, changes=changes))


@both
def test_a_dry_run_counts_images_and_estimates_time_and_trains_nothing(
    kind: Kind, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "run"
    assert main([*kind.command(folder), "--dry-run"]) == EXIT_DONE
    told = capsys.readouterr()
    assert json.loads(told.out)["run"]["output"] == str(folder)
    recipe = load_recipe(kind.recipe)
    count = recipe.data.clean[0].removeprefix("phantom:")
    assert f"clean      {recipe.data.clean[0]:<24} {count:>6}" in told.err
    assert "time: unknown for structure" in told.err
    assert not folder.exists()


@both
def test_a_dry_run_says_which_data_are_missing(
    kind: Kind, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "sharp").mkdir()
    missing = [f"data.root={tmp_path}", "data.clean=sharp", "data.vessels=nowhere"]
    command = kind.command(tmp_path / "run", *missing)
    assert main([*command, "--dry-run"]) == EXIT_USAGE
    said = capsys.readouterr().err
    assert f"no image in {tmp_path / 'sharp'}" in said
    assert f"no folder {tmp_path / 'nowhere' / 'images'}" in said
    assert "--set data.root=FOLDER" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@both
def test_a_stop_holds_in_the_structure_phase(
    kind: Kind, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """However many steps are left, the call ends after one, and the next resumes after it."""
    command = [*kind.command(tmp_path, "structure.steps=1000"), "--stop-after", "0.0000001"]
    for step in range(3):
        assert main(command) == EXIT_INTERRUPTED
        said = capsys.readouterr().err
        assert ("structure: resuming at step" if step else "structure: training") in said
        assert "the same command resumes" in said
        assert f"structure, step {step + 1} of 1000" in said
    assert not (tmp_path / "structure.safetensors").exists()
    # `--fresh` forgets it.
    assert main([*command, "--fresh"]) == EXIT_INTERRUPTED
    assert "structure: training, 1000 steps" in capsys.readouterr().err


ON_PHANTOMS = (
    'data.clean=["phantom:3"]', 'data.real=["phantom:2@9"]', 'data.vessels=["phantom:2"]',
    'data.validation=["phantom:1@5"]', "structure.size=64", "structure.batch=2",
    "structure.steps=1",
)  # fmt: skip
OF_KIND = {
    "AffineRecipe": (
        *ON_PHANTOMS, "data.size=64", "schedule.views=[[64, 1, 1.0, 1.0]]", "schedule.batch=1",
        "consistency.batch=1", "validation.size=64", "schedule.steps=2", "validation.every=2",
    ),
    "RestorationRecipe": (
        *ON_PHANTOMS, "data.size=256", "sense.samples=16", "sense.steps=1", "sensor.steps=2",
        "sensor.batch=1", "sensor.crop=64", "spots.steps=2", "spots.batch=1",
        "light.steps=2", "light.batch=1", "light.real_batch=1",
        "validation.every=2", "validation.images=1",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(shipped_recipes()) - {"adapt"}))
def test_every_shipped_recipe_trains(name: str, tmp_path: Path):
    kind = type(load_recipe(name)).__name__
    recipe = load_recipe(name, changes=[*OF_KIND[kind], f"run.output={tmp_path}"])
    assert train(recipe) == EXIT_DONE
    assert (tmp_path / f"{recipe.run.name}.safetensors").is_file()


@pytest.mark.slow
def test_weights_adapt_to_an_archive_without_labels(tmp_path: Path):
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
    before = load_file(read_weights_file("affine").path)
    assert main(["train", "recipes/adapt.toml", *options(words)]) == EXIT_DONE
    after = load_file(tmp_path / "run" / "adapted.safetensors")
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed
    assert not any(key.startswith("structure.") for key in changed)
