"""Whatever a recipe says, the answer is a recipe or a sentence."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from magenet_batch.errors import RecipeError
from magenet_batch.training.recipes.load import fingerprint, load_recipe, shipped_recipes, tomllib
from magenet_batch.training.recipes.schema import AffineRecipe, RestorationRecipe

SHIPPED = {name: path.read_text(encoding="utf-8") for name, path in shipped_recipes().items()}
KINDS = {"smoke": RestorationRecipe, "affine_smoke": AffineRecipe}
KEYS = {
    name: [
        f"{table}.{key}"
        for table, field in kind.model_fields.items()
        for key in field.annotation.model_fields
    ]
    for name, kind in KINDS.items()
}
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), words,
    st.lists(st.one_of(st.integers(), st.floats(), words), max_size=4),
    st.dictionaries(words, st.integers(), max_size=2),
)  # fmt: skip
QUIET = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def answer(path, **options):
    """Load it; a refusal must be a sentence."""
    try:
        recipe = load_recipe(path, **options)
    except RecipeError as error:
        assert str(error).strip() and "Traceback" not in str(error)
        return None
    assert len(fingerprint(recipe)) == 16
    json.loads(recipe.model_dump_json())
    return recipe


@QUIET
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path, content):
    (tmp_path / "r.toml").write_bytes(content)
    answer(tmp_path / "r.toml")


@QUIET
@given(st.data())
def test_shipped_recipes_with_damage(tmp_path, data):
    text = SHIPPED[data.draw(st.sampled_from(sorted(SHIPPED)))]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 8))
        text = text[:at] + data.draw(words) + text[at + cut :]
    path = tmp_path / "damaged.toml"
    path.write_text(text, encoding="utf-8", newline="")
    answer(path)


@QUIET
@given(st.sampled_from(sorted(KINDS)), st.data())
def test_any_value_for_any_key(name, data):
    changes = data.draw(st.dictionaries(st.sampled_from(KEYS[name]), values, max_size=4))
    told = []
    for key, value in changes.items():
        word = json.dumps(value) if value is not None else "nan"
        told.append(f"{key}={word}")
    answer(name, changes=told)


@QUIET
@given(st.sampled_from(sorted(KINDS)), st.lists(words, max_size=3))
def test_any_words_after_set(name, told):
    answer(name, changes=told)


@pytest.mark.parametrize("change", ["data=3", "data.x.y.z=3", "model.size=[1]", "run.seed.a=1"])
def test_changes_into_values_are_answered(change):
    with pytest.raises(RecipeError):
        load_recipe("smoke", changes=[change, "data.real.deeper=1", change])


@pytest.mark.parametrize(
    "text",
    ["model = 3", "[[model]]\nsize='small'", "model.size = {a=1}", "extends = '../../etc/passwd'",
     "extends = 7", "extends = 'r.toml'", "a" * 100_000, "x = " + "[" * 3000 + "]" * 3000],
    ids=range(8),
)  # fmt: skip
def test_odd_shapes_are_answered(tmp_path, text):
    (tmp_path / "r.toml").write_text(text)
    assert answer(tmp_path / "r.toml") is None


def test_shipped_recipes_are_toml():
    assert all(tomllib.loads(text) for text in SHIPPED.values())
