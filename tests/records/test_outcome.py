"""Counts that add up, whatever became of the images."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magenet_batch.records.outcome import Outcome
from magenet_batch.records.vocabulary import BECAUSE, DECISIONS, STATUSES


def outcome(planned=None, copied=True, **counts):
    found = Outcome(planned=planned, copied=copied)
    for status, count in counts.items():
        if count:
            found.add(status, {"kept": "good", "withheld": "reject"}.get(status, "corrupt"), count)
    return found


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (outcome(), "No images yet."),
        (outcome(enhanced=1), "The one image was delivered enhanced."),
        (outcome(enhanced=22), "All 22 images delivered enhanced."),
        (outcome(enhanced=18, withheld=4), "18 of 22 delivered enhanced; 4 withheld."),
        (
            outcome(enhanced=18, kept=1, withheld=4, failed=2),
            "18 of 25 delivered enhanced; 1 delivered as they came; 4 withheld; 2 failed.",
        ),
        (outcome(planned=9, enhanced=3), "3 of 9 delivered enhanced; 6 not done yet."),
        (outcome(failed=4), "0 of 4 delivered enhanced; 4 failed."),
        (outcome(assessed=4), "All 4 images assessed."),
        (outcome(assessed=1), "The one image was assessed."),
        (outcome(assessed=4, failed=1), "4 of 5 assessed; 1 failed."),
        (
            outcome(enhanced=1, kept=2, copied=False),
            "1 of 3 delivered enhanced; 2 left as they came, not copied.",
        ),
    ],
)
def test_the_headline_is_the_truth(found, said):
    assert found.headline() == said


@given(st.fixed_dictionaries({s: st.integers(0, 3000) for s in STATUSES}), st.integers(0, 9000))
def test_numbers_add_up_to_the_archive(counts, planned):
    found = outcome(planned=planned, **counts)
    numbers = [int(n.replace(",", "")) for n in re.findall(r"[\d,]+(?= )", found.headline())]
    if " of " in found.headline():
        first, total, *others = numbers
        assert first + sum(others) == total == found.images
    assert sum(found.as_json()[s] for s in STATUSES) + found.pending == found.images
    for line in found.reasons_in_words():
        total, *parts = (int(n.replace(",", "")) for n in re.findall(r"[\d,]+(?= )", line))
        assert total == sum(parts)


@pytest.mark.parametrize(
    ("grades", "said"),
    [
        ([("reject", "good"), ("good", "usable")],
         "1 image became gradable: 1 of 2 was before, 2 are as delivered."),
        ([("good", "good")] * 3,
         "All 3 images are gradable: all 3 already were before."),
        ([("good", "usable")] * 19 + [("reject", "reject")],
         "19 of 20 images are gradable: all 19 already were before."),
        ([("good", "good"), ("reject", "reject")],
         "1 of 2 images is gradable: it already was before."),
        ([("reject", "reject")] * 2, "None of the 2 images is gradable."),
        ([("usable", "good")], "The one image is gradable: it already was before."),
        ([("reject", "reject")], "The one image is not gradable."),
        ([("usable", "good"), (None, None)],
         "The one graded image is gradable: it already was before."),
        ([("good", "good"), ("reject", "reject"), (None, None)],
         "1 of 2 graded images is gradable: it already was before."),
        ([("good", "reject")],
         "1 image is no longer gradable: 1 of 1 was before, 0 are as delivered."),
        ([("good", "reject")] * 2 + [("reject", "good")],
         "1 image became gradable and 2 are no longer: 2 of 3 were before, 1 is as delivered."),
        ([(None, "good"), ("good", None)], ""),
    ],
)  # fmt: skip
def test_how_many_became_gradable_is_told(grades, said):
    found = Outcome()
    for pair in grades:
        found.add("enhanced", None, grades=pair)
    assert found.gradable_sentence() == said
    # what is not delivered enhanced has the grade it came with
    found = Outcome()
    for pair in grades:
        found.add("withheld", "grade_fell", grades=pair)
    assert found.gradable.gained == found.gradable.lost == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(STATUSES),
            st.sampled_from([None, "grade_fell", "hopeless", "reviewer"]),
            st.booleans(),
            st.sampled_from([None, *DECISIONS]),
        )
    )
)  # fmt: skip
def test_what_waits_and_what_was_decided_add_up(images):
    found = Outcome()
    for status, reason, flagged, decision in images:
        found.add(status, reason, flagged=flagged, decision=decision)
    counted = found.as_json()
    assert sum(counted["reviewed"].values()) == sum(d is not None for *_, d in images)
    assert counted["flagged"] == sum(flagged for _, _, flagged, _ in images)
    assert counted["to_review"] + sum(counted["reviewed"].values()) <= len(images)
    for line in found.review_in_words():
        total, *parts = (int(n) for n in re.findall(r"\d+(?= )", line))
        assert total == sum(parts)


def test_notes_on_files_are_counted_and_told():
    found = Outcome()
    found.add("enhanced", None, 3)
    assert found.as_json()["noted"] == 0 and found.files_in_words() == []
    found.add("kept", "good", 2, noted=True)
    found.add("failed", "no_fov", noted=True)
    assert found.as_json()["noted"] == 3
    assert "  3 with a note about the file." in found.lines()
    assert found.as_json()["burned_in_text"] == 0
    found.add("withheld", "reject", 2, lettered=True)
    assert found.as_json()["burned_in_text"] == 2
    assert "  2 with what looks like text outside the field of view." in found.lines()


def test_reasons_have_words():
    found = Outcome()
    found.add("withheld", "grade_fell", 2)
    found.add("withheld", None)
    assert found.reasons_in_words() == ["3 withheld: 2 the grade fell, 1 no reason given."]
    assert all(BECAUSE.values())
