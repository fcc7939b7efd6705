import re
import xml.etree.ElementTree as ET

import pytest
from report_fakes import make_rows, write_out

from magenet_batch.report.page.flow import HEIGHT, WIDTH, flow_chart
from magenet_batch.report.page.views import grade_sentence
from magenet_batch.report.totals.collect import collect


@pytest.mark.parametrize(
    "flow",
    [
        {("usable", "good"): 1},
        {("good", "good"): 30, ("usable", "good"): 50, ("reject", "usable"): 20},
        {(b, a): 1 for b in ("good", "usable", "reject") for a in ("good", "usable", "reject")},
        {("good", "good"): 999_999, ("reject", "good"): 1},
        {("good", "reject"): 5},
    ],
)
def test_ribbons_are_as_high_as_their_numbers_and_stay_inside(flow):
    svg = flow_chart(flow)
    root = ET.fromstring(svg)
    for (before, after), count in flow.items():
        assert f"{count:,} from {before} to {after}" in root.get("aria-label")
    ribbons = list(root.iter("path"))
    assert len(ribbons) == len(flow)
    numbers = [float(n) for n in re.findall(r"-?\d+\.\d+", " ".join(p.get("d") for p in ribbons))]
    assert all(-1 <= n <= max(WIDTH, HEIGHT) + 1 for n in numbers)
    bars = [(float(r.get("x")), float(r.get("height"))) for r in root.iter("rect")]
    left = sum(h for x, h in bars if x < WIDTH / 2)
    right = sum(h for x, h in bars if x > WIDTH / 2)
    assert left == pytest.approx(right, abs=3.5)  # bars have a least height
    bottoms = [float(r.get("y")) + float(r.get("height")) for r in root.iter("rect")]
    assert max(bottoms) <= HEIGHT


def test_without_grades_nothing_is_drawn():
    assert flow_chart({}) == ""


def test_what_is_kept_is_delivered_with_the_grade_it_came_with(tmp_path):
    rows = make_rows(5)  # three enhanced, one kept, one failed
    rows[0] |= {"grade_before": "reject", "grade_after": "good"}
    rows[1] |= {"grade_before": "good", "grade_after": "usable"}
    rows[2] |= {"grade_before": "usable", "grade_after": None}
    rows[3] |= {"grade_before": "reject", "grade_after": "good", "reason": "low_fidelity"}
    found = collect(write_out(tmp_path / "out", rows))
    assert found.grades.flow == {
        ("reject", "good"): 1, ("good", "usable"): 1, ("reject", "reject"): 1,
    }  # fmt: skip
    assert found.grades.before == {"reject": 2, "good": 1, "usable": 1}
    assert found.grades.moved() == (1, 1)
    assert found.outcome.reasons["kept"] == {"low_fidelity": 1}
    assert grade_sentence(found).startswith("33 % came good, 33 % are delivered good.")


def test_a_word_that_is_no_grade_is_not_counted(tmp_path):
    rows = make_rows(3)
    for row in rows:
        row["grade_before"] = "<excellent>"
    found = collect(write_out(tmp_path / "out", rows))
    assert not found.grades.flow and not found.grades.before
