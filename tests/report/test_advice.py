"""What to do next: true of the rows, whatever they are."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_fakes import make_rows, reviewable, write_out

from magenet_batch.records.vocabulary import NEVER_ENHANCED, waits_for_review
from magenet_batch.report.advice import next_steps
from magenet_batch.report.build import build_report
from magenet_batch.report.totals.collect import collect


def steps_of(folder, rows):
    found = collect(write_out(folder, rows))
    return {step.key: step for step in next_steps(found)}, found


def test_a_job_in_which_all_went_well_asks_for_nothing(tmp_path):
    rows = [r | {"flags": [], "grade_before": "usable"} for r in make_rows(10)
            if r["status"] == "enhanced"]  # fmt: skip
    steps, _ = steps_of(tmp_path, rows)
    assert steps["none"].text == "Nothing: no image waits for a person, and none failed."


def test_what_waits_is_named_with_why(tmp_path):
    rows = reviewable(make_rows(20))
    for row in rows:
        if row["status"] == "enhanced" and not row.get("decision"):
            row["flags"] = []
    steps, _ = steps_of(tmp_path, rows)
    withheld = {row["image_id"] for row in rows if row["status"] == "withheld"}
    assert steps["review"].text == (
        "Open these 3 images and decide: 3 withheld. Withheld because: vessels lost contrast (3)."
    )
    assert set(steps["review"].images) == withheld


def test_images_that_became_worse_are_named_a_loss(tmp_path):
    rows = [make_rows(1)[0] | {"grade_before": "good", "grade_after": "reject"}]
    steps, found = steps_of(tmp_path, rows)
    assert steps["lost"].text.startswith("1 image was gradable and is not as delivered")
    assert found.outcome.gradable_sentence() == (
        "1 image is no longer gradable: 1 of 1 was before, 0 are as delivered."
    )


def test_the_worst_folder_is_the_one_with_most_that_nobody_can_use(tmp_path):
    rows = [make_rows(1)[0] | {"image_id": f"clinic_{'abc'[i // 5]}/{i}.jpg", "flags": []}
            for i in range(15)]  # fmt: skip
    for place in (5, 6, 7, 12):
        rows[place] |= {"grade_after": "reject"}
    steps, _ = steps_of(tmp_path, rows)
    assert steps["folder"].text == (
        "clinic_b is the worst folder: 3 of 5 images are not gradable as delivered or failed "
        "(60 %; in the whole archive 27 %)."
    )


@pytest.mark.parametrize("folders", [1, 3])
def test_folders_that_are_alike_are_not_judged(tmp_path, folders):
    rows = [make_rows(1)[0] | {"image_id": f"{i % folders}/{i}.jpg"} for i in range(12)]
    assert "folder" not in steps_of(tmp_path, rows)[0]


def test_a_folder_that_is_hardly_worse_than_the_archive_is_not_named(tmp_path):
    rows = [make_rows(1)[0] | {"image_id": f"{i // 20}/{i}.jpg"} for i in range(40)]
    for place in (*range(5), *range(20, 24)):  # 5 of 20, and 4
        rows[place] |= {"grade_after": "reject"}
    assert "folder" not in steps_of(tmp_path, rows)[0]


@pytest.mark.parametrize(("reason", "tried"), [("reject", True), ("hopeless", False)])
def test_what_was_rejected_can_be_tried_all_the_same(tmp_path, reason, tried):
    rows = [make_rows(1)[0] | {"status": "withheld", "reason": reason, "flags": []}]
    text = steps_of(tmp_path, rows)[0]["retake"].text
    assert text.startswith("Photograph 1 image again, or leave it out: it was not enhanced: ")
    assert ("--policy all" in text) == tried


def test_what_is_delivered_and_can_hardly_be_used_is_named(tmp_path):
    """The policy leaves out what is almost certainly hopeless; the grade is the likeliest."""
    rows = [make_rows(1)[0] | {"image_id": f"{i}.jpg", "flags": []} for i in range(4)]
    rows[1] |= {"status": "kept", "reason": "unchanged", "grade_before": "reject"}
    steps, _ = steps_of(tmp_path, rows)
    assert steps["poor"].text == "Look at 1 image before you use it: delivered, but graded reject."
    assert "retake" not in steps


def test_an_assessed_archive_is_told_which_to_look_at(tmp_path):
    rows = [r | {"status": "assessed", "reason": None} for r in make_rows(9)]
    rows[1] |= {"grade_before": "reject", "good_before": 0.01}
    steps, found = steps_of(tmp_path, rows)
    assert steps["ungradable"].images[0] == rows[1]["image_id"]
    assert "review" not in steps and "delivered" not in steps["ungradable"].text
    assert found.outcome.gradable_sentence().endswith("images are gradable.")


def test_an_interrupted_review_comes_first(tmp_path):
    out = write_out(tmp_path, make_rows(5))
    (out / "review").mkdir()
    (out / "review/pending.json").write_text("{}")
    assert next_steps(collect(out))[0].key == "pending"


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "status": st.sampled_from(["enhanced", "kept", "withheld", "failed"]),
            "reason": st.sampled_from(["good", "reject", "hopeless", "grade_fell", "reviewer"]),
            "flags": st.sampled_from([[], ["invented"], ["grade_fell", "new_vessels"]]),
            "decision": st.sampled_from([None, "deliver", "withhold"]),
            "grade_before": st.sampled_from([None, "good", "usable", "reject"]),
            "grade_after": st.sampled_from([None, "good", "usable", "reject"]),
        }
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_every_number_is_true(tmp_path_factory, changes):
    rows = [{"image_id": f"{'ab'[i % 2]}/{i}.jpg", "policy": "{}"} | change
            for i, change in enumerate(changes)]  # fmt: skip
    for row in rows:
        row["reason"] = None if row["status"] == "enhanced" else row["reason"]
    steps, found = steps_of(tmp_path_factory.mktemp("job"), rows)
    waiting = [r for r in rows if waits_for_review(
        r["status"], r["reason"], flagged=bool(r["flags"]), decision=r["decision"])]  # fmt: skip
    failed = [r for r in rows if r["status"] == "failed"]
    never = [r for r in rows if r["status"] == "withheld" and r["reason"] in NEVER_ENHANCED]
    poor = [r for r in rows if (r["status"], r["grade_after"]) == ("enhanced", "reject")
            or (r["status"], r["grade_before"]) == ("kept", "reject")]  # fmt: skip
    expected = {"review": len(waiting), "failed": len(failed), "retake": len(never),
                "poor": len(poor)}  # fmt: skip
    assert {k: steps[k].count if k in steps else 0 for k in expected} == expected
    assert set(getattr(steps.get("review"), "images", ())) <= {r["image_id"] for r in waiting}
    gradable = found.outcome.gradable
    graded = [
        (r["grade_before"], r["grade_after"] if r["status"] == "enhanced" else r["grade_before"])
        for r in rows
        if r["status"] != "failed"
    ]
    graded = [(b, a) for b, a in graded if b and a]
    assert gradable.graded == len(graded)
    assert gradable.gained == sum(b == "reject" != a for b, a in graded)
    assert gradable.lost == sum(a == "reject" != b for b, a in graded)
    assert gradable.delivered == sum(a != "reject" for _, a in graded)


def test_all_formats_tell_the_same_steps(tmp_path):
    out = write_out(tmp_path / "out", reviewable(make_rows(40)))
    steps = next_steps(collect(out))
    assert [s["text"] for s in json.loads(build_report(out, format="json"))["next"]] == [
        s.text for s in steps
    ]
    page, text = build_report(out), build_report(out, format="text")
    markdown = build_report(out, format="md").replace("\\", "")
    for step in steps:
        assert step.text in page and step.text in text and step.text in markdown
    first = json.loads(build_report(out, format="json"))
    assert list(first)[2] == "became_gradable"
    assert re.match(r"# Enhancement report\n\n\*\*\d+ images? became gradable", markdown)
