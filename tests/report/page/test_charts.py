import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from magenet_batch.report.page.charts import (
    Series,
    histogram_chart,
    nice_ticks,
    rank_bar,
    stacked_bar,
)
from magenet_batch.report.totals.histogram import Histogram
from magenet_batch.report.words import number


def _histogram(values):
    h = Histogram(low=0, high=1)
    h.add(np.asarray(values, float))
    return h


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (0, "0"), (0.12345, "0.123"), (12.345, "12.3"),
     (1234.5, "1,234"), (-0.5, "-0.500"), (0.00001, "0.0000")],
)  # fmt: skip
def test_number(value, text):
    assert number(value) == text


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.113, 0.127), (0, 100), (0.4, 17)])
def test_ticks_are_round_few_and_inside(low, high):
    ticks = nice_ticks(low, high)
    assert 2 <= len(ticks) <= 6
    assert all(low - 1e-9 <= t <= high + 1e-9 for t in ticks)


@pytest.mark.parametrize("values", [[0.5], [0, 1], [0.3] * 1000, np.linspace(0, 1, 9999)])
def test_the_chart_is_valid_and_tells_its_numbers(values):
    series = [
        Series(_histogram(values), "before", "before"),
        Series(_histogram([0.6]), "after", "after"),
    ]
    svg = histogram_chart(series, title="<haze>", axis="haze (0..1)")
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label").startswith("<haze>. before: median")
    texts = [t.text for t in root.iter("text")]
    assert "haze (0..1)" in texts
    assert "share of images" in texts
    assert "nan" not in svg
    xs = [float(x) for x in re.findall(r'x="([\d.-]+)"', svg)]
    assert all(0 <= x <= 340 for x in xs)


def test_a_chart_without_values_says_so():
    assert "not measured" in histogram_chart(
        [Series(_histogram([]), "after", "a")], title="t", axis="x"
    )


def test_the_bar_is_as_long_as_its_parts():
    svg = stacked_bar([("a", "kept", 3), ("b", "none", 0), ("c", "failed", 1)], title="status")
    root = ET.fromstring(svg)
    assert len(list(root)) == 2
    assert "kept 75.0 %, failed 25.0 %" in root.get("aria-label")
    assert list(ET.fromstring(stacked_bar([("a", "x", 0)], title="t"))) == []


@pytest.mark.parametrize("rank", [0.0, 0.5, 1.0])
def test_the_place_of_a_value_is_drawn_and_told(rank):
    root = ET.fromstring(rank_bar(rank, title="haze"))
    (dot,) = root.iter("circle")
    assert 0 < float(dot.get("cx")) < 200
    assert root.get("aria-label") == f"haze: higher than {100 * rank:.0f} % of the images"
    assert rank_bar(None, title="haze") == ""


def test_medians_that_are_close_do_not_run_into_each_other():
    for value in (0.0014, 0.5, 0.9999):
        series = [
            Series(_histogram([value]), "before", "before"),
            Series(_histogram([value + 0.0001]), "after", "after"),
        ]
        root = ET.fromstring(histogram_chart(series, title="t", axis="x"))
        texts = [t for t in root.iter("text") if "value" in t.get("class")]
        centres = sorted(float(t.get("x")) for t in texts)
        width = 7 * max(len(t.text) for t in texts)
        assert centres[1] - centres[0] >= width
        assert centres[0] - width / 2 > 0 and centres[1] + width / 2 < 344
