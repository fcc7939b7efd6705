"""Limits that stand beside values are those that raise the flags."""

import pytest

from magenet_batch.jobs.policy import flags_for
from magenet_batch.quality.limits import LEAST, LIMITS, MOST
from magenet_batch.report.limits import MEASURE_LIMITS, PLAIN, limit_text, passed


@pytest.mark.parametrize("measure", MEASURE_LIMITS)
def test_beyond_the_limit_there_is_a_flag_and_within_there_is_none(measure):
    limit = MEASURE_LIMITS[measure]
    step = 1e-6 if limit.upper else -1e-6
    beyond, within = {measure: limit.value + step}, {measure: limit.value - step}
    assert len(flags_for(beyond)) == len(passed(beyond)) == 1
    assert flags_for(within) == passed(within) == []


def test_every_limit_has_plain_words_and_no_other():
    assert set(MEASURE_LIMITS) == set(PLAIN)
    assert set(PLAIN) == set(LIMITS) - {"disagreement"} | set(LEAST) | set(MOST) | {
        "structure_agreement"
    }
    assert not [w for w in PLAIN.values() if any(x in w for x in ("Weber", "CIE", "Dice", "_"))]


def test_a_value_is_told_from_its_limit():
    (only,) = passed({"new_structure": 0.0400045})
    assert (only.value, only.limit) == ("0.0400045", "at most 0.04")
    assert limit_text("vessel_contrast") == "at least 0.97" and limit_text("change") == ""
    assert passed({"vessel_new": None}) == []
