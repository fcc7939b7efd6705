import json

import pytest

from magenet_batch.report.words import (
    because,
    duration,
    images,
    listed,
    moment,
    percent,
    size,
    told,
    visible,
)


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "–"), (0, "0 %"), (1, "100 %"), (0.5, "50 %"), (0.034, "3.4 %"), (0.999, "99.9 %"),
     (0.00001, "< 0.1 %"), (0.99999, "> 99.9 %")],
)  # fmt: skip
def test_percent_never_rounds_to_all_or_nothing(share, text):
    assert percent(share) == text


def test_visible_spells_out_what_cannot_be_seen():
    assert visible("a\u202eb\nc\u200b") == "a\\u202eb\\u000ac\\u200b"
    assert visible("Müller 視神経 é") == "Müller 視神経 é"


def test_units_that_a_person_would_use():
    assert [duration(s) for s in (None, 3.21, 50, 600, 10_000, 500_000)] == [
        "–", "3.2 s", "50 s", "10 min", "2.8 h", "5.8 days",
    ]  # fmt: skip
    assert [size(b) for b in (12, 1_500, 2.5e12)] == ["12 B", "1.5 kB", "2.5 TB"]
    assert (images(1), images(1_234)) == ("1 image", "1,234 images")


def test_moments():
    assert moment("2026-01-02T10:05:00+00:00") == "2 January 2026, 10:05"
    assert moment("soon") == "–"
    assert moment(1e30) == "–"


def test_a_policy_is_told_in_words_whatever_it_holds():
    policy = json.dumps({"deliver": "auto", "limits": {"fidelity_min": 0.5, "none": None},
                         "grades": ["good"], "on": True, "x\u202e": "y\n"})  # fmt: skip
    assert listed(policy) == [
        ("deliver", "auto"), ("limits fidelity min", "0.5"), ("grades", "good"), ("on", "yes"),
        ("x\\u202e", "y\\u000a"),
    ]  # fmt: skip
    assert listed("not json") == [("", "not json")]
    assert listed("[1, 2]") == [("", "1, 2")]
    assert told([{"a": 1}]) == '[{"a": 1}]'


def test_reasons_are_words():
    assert because("low_fidelity") == "the anatomy was altered"
    assert because("new_reason") == "new reason"
    assert because("") == "no reason given"
