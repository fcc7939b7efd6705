"""Published tables compare on these presets: what they draw and the pixels they make stay."""

import json
from pathlib import Path

import numpy as np
import pytest
from golden_degradations import NAMES, SEEDS, draw, sampled_pixels

from magenet_batch.degradation import DegradationParams
from magenet_batch.degradation.severity import severity

HERE = Path(__file__).parent
RECORDS = json.loads((HERE / "golden.json").read_text(encoding="utf-8"))
CASES = [f"{name}/{seed}" for name in NAMES for seed in SEEDS]


def flat(value: object, at: str = "") -> dict[str, object]:
    """Leaves of nested JSON by their path."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in flat(item, f"{at}/{key}").items()}
    if isinstance(value, list):
        return {k: v for i, item in enumerate(value) for k, v in flat(item, f"{at}/{i}").items()}
    return {at: value}


@pytest.fixture(scope="module")
def pixels() -> dict[str, np.ndarray]:
    with np.load(HERE / "golden.npz") as stored:
        return dict(stored)


def test_the_cases_are_those_stored(pixels: dict[str, np.ndarray]):
    assert list(RECORDS) == CASES == list(pixels)


@pytest.mark.parametrize("case", CASES)
def test_a_preset_draws_what_it_always_drew(case: str):
    name, _, seed = case.rpartition("/")
    now = flat(json.loads(draw(name, int(seed)).to_record()))
    stored = flat(RECORDS[case]["params"])
    assert {key: now[key] for key in stored} == pytest.approx(stored, rel=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_a_stored_record_replays_to_the_same_pixels(case: str, pixels: dict[str, np.ndarray]):
    params = DegradationParams.from_record(json.dumps(RECORDS[case]["params"]))
    np.testing.assert_allclose(sampled_pixels(params), pixels[case], rtol=0, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_the_severity_of_a_stored_record_stays(case: str):
    params = DegradationParams.from_record(json.dumps(RECORDS[case]["params"]))
    assert severity(params) == pytest.approx(RECORDS[case]["severity"], rel=1e-12)
