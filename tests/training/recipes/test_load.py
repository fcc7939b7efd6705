"""Reading recipes: inheritance, changes, and errors that help."""

from pathlib import Path

import pytest

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_USAGE, RecipeError
from magenet_batch.training.recipes.load import fingerprint, load_recipe, shipped_recipes

RECIPES = shipped_recipes()


def recipe(tmp_path: Path, text: str, name: str = "mine.toml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_the_shipped_recipes_are_found():
    names = "default small continue smoke adapt paper unet single_stage detail"
    assert set(names.split()) == set(RECIPES)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_shipped_recipe_loads_by_path_and_by_name(name: str):
    assert load_recipe(RECIPES[name]) == load_recipe(name)


def test_sizes_and_inheritance():
    assert load_recipe("default").model.size == "base"
    small = load_recipe("small")
    assert small.model.size == "small"
    assert small.data.exclude == load_recipe("default").data.exclude


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[schedule]\nlearning_rat = 1e-3", "did you mean 'learning_rate'"),
        ("[modle]\nsize = 'small'", "did you mean 'model'"),
        ("[model]\nsize = 'smal'", "did you mean 'small'"),
        ("[schedule]\nsteps = true", "schedule.steps"),
        ("[schedule]\nsteps = 0", "greater than or equal to 1"),
        ("[schedule", "cannot be read as TOML"),
        ("extends = 'nothing.toml'", "names no file"),
        ("extends = 'mine.toml'", "circle"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, words: str):
    path = recipe(tmp_path, text)
    with pytest.raises(RecipeError, match=words):
        load_recipe(path)
    assert main(["train", str(path), "--dry-run"]) == EXIT_USAGE


def test_the_command_line_says_the_nearest_spelling(tmp_path: Path, capsys):
    path = recipe(tmp_path, "[schedule]\nlearning_rat = 1e-3")
    assert main(["train", str(path)]) == EXIT_USAGE
    said = capsys.readouterr().err
    assert "mine.toml" in said
    assert "schedule.learning_rat: unknown key; did you mean 'learning_rate'" in said


def test_a_longer_circle_is_seen(tmp_path: Path):
    recipe(tmp_path, "extends = 'b.toml'", "a.toml")
    recipe(tmp_path, "extends = 'a.toml'", "b.toml")
    with pytest.raises(RecipeError, match="circle"):
        load_recipe(tmp_path / "a.toml")


def test_extends_merges_key_by_key_and_replaces_lists(tmp_path: Path):
    recipe(
        tmp_path,
        "[schedule]\nsteps = 7\nbatch = 3\n[data]\nclean = ['a', 'b']\n[run]\nname = 'below'",
        "below.toml",
    )
    path = recipe(tmp_path, "extends = 'below.toml'\n[schedule]\nbatch = 5\n[data]\nclean = ['c']")
    merged = load_recipe(path)
    assert (merged.schedule.steps, merged.schedule.batch) == (7, 5)
    assert merged.data.clean == ("c",)
    assert merged.run.name == "below"
    assert merged.loss == load_recipe(tmp_path / "below.toml").loss, "defaults stay defaults"


def test_a_width_in_a_recipe_changes_one_of_its_size(tmp_path: Path):
    path = recipe(tmp_path, "[model]\nsize = 'base'\n[model.structure_net]\nwidths = [4, 4, 4, 4]")
    model = load_recipe(path).model
    assert model.structure_net.widths == (4, 4, 4, 4)
    assert model.coarse_widths == load_recipe("default").model.coarse_widths


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'small'"):
        load_recipe("recipes/smal.toml")


def test_changes_from_the_command_line():
    changed = load_recipe(
        "small",
        changes=[
            "schedule.minutes=20",
            "run.output=runs/x",
            "run.name='quoted'",
            'data.clean=["a", "b"]',
            "model.gate=false",
            "model.structure_net.widths=[4, 4, 4, 4]",
            "loss.ssim=1e-2",
            "loss.ssim=0.2",
        ],
    )
    assert changed.schedule.minutes == 20
    assert changed.run.output == "runs/x"
    assert changed.data.clean == ("a", "b")
    assert changed.model.gate is False
    assert changed.model.structure_net.widths == (4, 4, 4, 4)
    assert changed.run.name == "quoted"
    assert changed.loss.ssim == 0.2, "the last change wins"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("minutes=20", r"table\.key=value"),
        ("schedule.minutes", r"table\.key=value"),
        ("", r"table\.key=value"),
        ("schedule.minuts=20", "did you mean 'minutes'"),
        ("schedule.steps=many", r"schedule\.steps"),
        ("schedule.steps=true", r"schedule\.steps"),
        ("run.device=tpu", r"run\.device"),
    ],
)
def test_bad_changes_are_said(change: str, words: str):
    with pytest.raises(RecipeError, match=words):
        load_recipe("small", changes=[change])
    assert main(["train", "small", "--dry-run", "--set", change]) == EXIT_USAGE


@pytest.mark.parametrize(
    "change", ["schedule.steps=9", "validation.every=9", "run.output=elsewhere"]
)
def test_the_fingerprint_does_not_change_with_what_may_change(change: str):
    assert fingerprint(load_recipe("small")) == fingerprint(load_recipe("small", changes=[change]))


def test_the_fingerprint_changes_with_what_matters():
    one = fingerprint(load_recipe("small"))
    assert one == fingerprint(load_recipe("small", changes=["schedule.minutes=3"]))
    assert one != fingerprint(load_recipe("small", changes=["loss.ssim=0.2"]))


def test_one_folder_needs_no_brackets():
    recipe = load_recipe("adapt", changes=["data.real=/archive"])
    assert recipe.data.real == ("/archive",)
    assert recipe.data.clean == ("sharpest:0.25",)
