"""Reading recipes: inheritance, changes, and errors that help."""

from pathlib import Path

import pytest

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_USAGE, RecipeError
from magenet_batch.recipes.load import fingerprint, load_recipe, shipped_recipes

RECIPES = shipped_recipes()


def recipe(tmp_path: Path, text: str, name: str = "mine.toml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_the_shipped_recipes_are_found():
    assert {"default", "small", "smoke"} <= set(RECIPES)


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


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'small'"):
        load_recipe("recipes/smal.toml")


def test_changes_from_the_command_line():
    changed = load_recipe(
        "small",
        changes=[
            "schedule.minutes=20",
            "run.output=runs/x",
            'data.clean=["a", "b"]',
            "model.gate=false",
        ],
    )
    assert changed.schedule.minutes == 20
    assert changed.run.output == "runs/x"
    assert changed.data.clean == ("a", "b")
    assert changed.model.gate is False
    with pytest.raises(RecipeError, match=r"table\.key=value"):
        load_recipe("small", changes=["minutes=20"])


def test_the_fingerprint_changes_with_what_matters():
    one = fingerprint(load_recipe("small"))
    assert one == fingerprint(load_recipe("small", changes=["schedule.minutes=3"]))
    assert one != fingerprint(load_recipe("small", changes=["loss.ssim=0.2"]))
