"""`results.png`: what is drawn of curves, and where."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from magenet_batch.training.curves import Curves, Point, read_points
from magenet_batch.training.results import draw_results, panels_of, ticks


def write(folder: Path, *, steps: int = 40) -> None:
    curves = Curves(folder, step=0)
    for step in range(1, steps + 1):
        curves.write(step, "train", {"total": 1 / step, "detail": -0.5, "gradient": 3.0})
        if step % 10 == 0:
            curves.write(step, "validation", {"gain": step / 10})
    curves.close()


def colours(path: Path) -> set[tuple[int, int, int]]:
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
    return {tuple(int(v) for v in row) for row in np.unique(pixels, axis=0)}


def test_every_part_is_drawn_below_the_others(tmp_path: Path):
    write(tmp_path / "sensor")
    one = draw_results(tmp_path)
    assert one == tmp_path / "results.png"
    assert one is not None
    height = Image.open(one).height
    write(tmp_path / "light")
    draw_results(tmp_path)
    assert Image.open(one).height > 1.8 * height
    assert (31, 87, 164) in colours(one)  # the first loss
    assert (20, 120, 90) in colours(one)  # what was measured


def test_a_network_that_is_trained_as_a_whole_has_a_picture_too(tmp_path: Path):
    write(tmp_path)
    assert draw_results(tmp_path) is not None


def test_without_curves_there_is_no_picture(tmp_path: Path):
    assert draw_results(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_losses_share_a_panel_and_measures_have_their_own():
    points = [Point(20 * i, "train", {"total": 1.0 / i, "gradient": 2.0}) for i in range(1, 600)]
    points += [Point(500, "validation", {"gain": 1.0, "clean": math.nan}),
               Point(1000, "validation", {"gain": 2.0, "clean": 50.0})]  # fmt: skip
    losses, gain, clean = panels_of(points)
    assert set(losses.lines) == {"total"}
    assert len(losses.lines["total"]) <= 150
    assert losses.lines["total"][:, 1].mean() == pytest.approx(
        np.mean([1 / i for i in range(1, 600)]), rel=0.05
    )
    assert gain.lines["gain"].tolist() == [[500, 1], [1000, 2]]
    assert clean.lines["clean"].tolist() == [[1000, 50]]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 11), (0.5001, 0.5002), (0, 1e6)])
def test_ticks_are_few_round_and_inside(low: float, high: float):
    found = ticks(low, high, log=False)
    assert 2 <= len(found) <= 6
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in found)
    assert len({round(b - a, 12) for a, b in itertools.pairwise(found)}) == 1


def test_ticks_of_logarithms_are_tens_and_threes():
    assert ticks(-2, 0, log=True) == pytest.approx([0.01, 0.03, 0.1, 0.3, 1])


def test_points_are_read_as_they_were_written(tmp_path: Path):
    write(tmp_path, steps=10)
    with (tmp_path / "curves.jsonl").open("a") as file:
        file.write(json.dumps({"step": 11})[:-3])  # killed while it wrote
    points = read_points(tmp_path)
    assert len(points) == 11
    assert points[-1] == Point(10, "validation", {"gain": 1.0})
