"""Reading recipes: inheritance, changes, and errors that help."""

from pathlib import Path

import pytest

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_USAGE, RecipeError
from magenet_batch.training.recipes.load import fingerprint, load_recipe, shipped_recipes
from magenet_batch.training.recipes.schema import AffineRecipe, RestorationRecipe

RECIPES = shipped_recipes()


def recipe(tmp_path: Path, text: str, name: str = "mine.toml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_the_shipped_recipes_are_found():
    names = "default small smoke affine affine_base affine_smoke adapt paper unet single_stage"
    assert set(names.split()) == set(RECIPES)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_shipped_recipe_loads_by_path_and_by_name(name: str):
    assert load_recipe(RECIPES[name]) == load_recipe(name)


@pytest.mark.parametrize(("base", "other"), [("default", "small"), ("affine_base", "affine")])
def test_sizes_and_inheritance(base: str, other: str):
    assert load_recipe(base).model.size == "base"
    small = load_recipe(other)
    assert small.model.size == "small"
    assert small.data.exclude == load_recipe(base).data.exclude


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", RestorationRecipe),
        ("[model]\nsize = 'base'", RestorationRecipe),
        ("[model]\narchitecture = 'magenet'", RestorationRecipe),
        ("[model]\narchitecture = 'affine'", AffineRecipe),
        ("[model]\narchitecture = 'unet'\nsize = 'unet'", AffineRecipe),
        ("[model]\nsize = 'unet'", AffineRecipe),
    ],
)
def test_the_architecture_says_which_tables_there_are(tmp_path: Path, text: str, kind: type):
    assert type(load_recipe(recipe(tmp_path, text))) is kind


AFFINE = "[model]\narchitecture = 'affine'\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{AFFINE}[schedule]\nlearning_rat = 1e-3", "did you mean 'learning_rate'"),
        ("[sensor]\nlearning_rat = 1e-3", "did you mean 'learning_rate'"),
        ("[modle]\nsize = 'small'", "did you mean 'model'"),
        ("[model]\nsize = 'smal'", "did you mean 'small'"),
        (f"{AFFINE}size = 'smal'", "did you mean 'small'"),
        ("[model]\narchitecture = 'afine'", "did you mean 'affine'"),
        ("[model]\narchitecture = ['affine']", "model.architecture"),
        (f"{AFFINE}[schedule]\nsteps = true", "schedule.steps"),
        (f"{AFFINE}[schedule]\nsteps = 0", "greater than or equal to 1"),
        ("[light]\nsteps = true", "light.steps"),
        ("[light]\nsteps = 0", "greater than or equal to 1"),
        ("[model.sensor]\nwidht = [8]", "model.sensor.widht: unknown key; did you mean 'widths'"),
        ("[schedule]\nsteps = 5", "schedule: no table of architecture 'magenet'"),
        (f"{AFFINE}[sensor]\nsteps = 5", "sensor: no table of architecture 'affine' or 'unet'"),
        ("[run]\nprocesses = 2", "run.processes is for architecture 'affine'"),
        (f"{AFFINE}[run]\nparts = ['light']", "run.parts is for architecture 'magenet'"),
        ("[model]\nstructure = false", "sensor.guided needs the structure module"),
        ("[schedule", "cannot be read as TOML"),
        ("extends = 'nothing.toml'", "file not found next to this recipe"),
        ("extends = 'mine.toml'", "circular"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, words: str):
    path = recipe(tmp_path, text)
    with pytest.raises(RecipeError, match=words):
        load_recipe(path)
    assert main(["train", str(path), "--dry-run"]) == EXIT_USAGE


def test_the_command_line_says_the_nearest_spelling(tmp_path: Path, capsys):
    path = recipe(tmp_path, f"{AFFINE}[schedule]\nlearning_rat = 1e-3")
    assert main(["train", str(path)]) == EXIT_USAGE
    said = capsys.readouterr().err
    assert "mine.toml" in said
    assert "schedule.learning_rat: unknown key; did you mean 'learning_rate'" in said


def test_a_longer_circle_is_seen(tmp_path: Path):
    recipe(tmp_path, "extends = 'b.toml'", "a.toml")
    recipe(tmp_path, "extends = 'a.toml'", "b.toml")
    with pytest.raises(RecipeError, match="circular"):
        load_recipe(tmp_path / "a.toml")


def test_extends_merges_key_by_key_and_replaces_lists(tmp_path: Path):
    recipe(
        tmp_path,
        "[light]\nsteps = 7\nbatch = 3\n[data]\nclean = ['a', 'b']\n[run]\nname = 'below'",
        "below.toml",
    )
    path = recipe(tmp_path, "extends = 'below.toml'\n[light]\nbatch = 5\n[data]\nclean = ['c']")
    merged = load_recipe(path)
    assert (merged.light.steps, merged.light.batch) == (7, 5)
    assert merged.data.clean == ("c",)
    assert merged.run.name == "below"
    assert merged.sensor == load_recipe(tmp_path / "below.toml").sensor, "defaults stay defaults"


def test_a_width_in_a_recipe_changes_one_of_its_size(tmp_path: Path):
    path = recipe(tmp_path, f"{AFFINE}size = 'base'\n[model.structure_net]\nwidths = [4, 4, 4, 4]")
    model = load_recipe(path).model
    assert model.structure_net.widths == (4, 4, 4, 4)
    assert model.coarse_widths == load_recipe("affine_base").model.coarse_widths
    path = recipe(tmp_path, "[model]\nsize = 'base'\n[model.structure]\nwidths = [4, 4, 4, 4]")
    model = load_recipe(path).model
    assert model.structure.widths == (4, 4, 4, 4)
    assert model.sensor.widths == load_recipe("default").model.sensor.widths


def test_parts_are_switched_off_by_false():
    off = ["model.sensor.guided=false", "model.structure=false", "model.light=false"]
    model = load_recipe("small", changes=off).model
    assert model.structure is None
    assert model.light is None
    assert model.sensor == load_recipe("small").model.sensor.model_copy(update={"guided": False})
    assert load_recipe("small", changes=["model.sensor=false"]).model.sensor is None


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'small'"):
        load_recipe("recipes/smal.toml")


def test_changes_from_the_command_line():
    changed = load_recipe(
        "affine",
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
        ("minutes=20", r"TABLE\.KEY=VALUE"),
        ("schedule.minutes", r"TABLE\.KEY=VALUE"),
        ("", r"TABLE\.KEY=VALUE"),
        ("schedule.minuts=20", "did you mean 'minutes'"),
        ("schedule.steps=many", r"schedule\.steps"),
        ("schedule.steps=true", r"schedule\.steps"),
        ("run.device=tpu", r"run\.device"),
    ],
)
def test_bad_changes_are_said(change: str, words: str):
    with pytest.raises(RecipeError, match=words):
        load_recipe("affine", changes=[change])
    assert main(["train", "affine", "--dry-run", "--set", change]) == EXIT_USAGE


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *(("affine", c) for c in ("schedule.steps=9", "schedule.minutes=3")),
        *(("small", c) for c in ("sensor.steps=9", "light.minutes=3", 'run.parts=["light"]')),
        *((n, c) for n in ("affine", "small") for c in ("validation.every=9", "run.output=x")),
    ],
)
def test_the_fingerprint_does_not_change_with_what_may_change(name: str, change: str):
    assert fingerprint(load_recipe(name)) == fingerprint(load_recipe(name, changes=[change]))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("affine", "loss.ssim=0.2"),
        ("small", "sensor.ssim=0.2"),
        ("small", "light.gain=0.2"),
        ("small", "sense.samples=20"),
        ("small", 'data.unevenly_lit=["a/b.jpg"]'),
        ("small", "run.seed=3"),
    ],
)
def test_the_fingerprint_changes_with_what_matters(name: str, change: str):
    assert fingerprint(load_recipe(name)) != fingerprint(load_recipe(name, changes=[change]))


def test_one_folder_needs_no_brackets():
    recipe = load_recipe("adapt", changes=["data.real=/archive"])
    assert recipe.data.real == ("/archive",)
    assert recipe.data.clean == ("sharpest:0.25",)
