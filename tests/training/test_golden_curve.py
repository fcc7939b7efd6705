"""A short training run of every part gives the losses it always gave, step by step."""

import json

import pytest
from golden_curve import CHANGES, CURVE, curve

GOLDEN = json.loads(CURVE.read_text(encoding="utf-8"))
HINT = "if training was meant to change, run python tests/makers/golden_curve.py"


def test_the_recipes_are_those_stored():
    assert list(GOLDEN) == list(CHANGES)


@pytest.mark.parametrize("recipe", CHANGES)
def test_the_losses_of_every_step_are_golden(recipe: str):
    now, golden = curve(recipe), GOLDEN[recipe]
    assert now.keys() == golden.keys(), HINT
    for name, values in golden.items():
        assert now[name] == pytest.approx(values, rel=1e-3, abs=1e-5), f"{recipe}, {name}: {HINT}"
