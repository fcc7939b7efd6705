"""Dust that looks like a lesion is left where its photograph can then be delivered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jobs_fakes import FakeEnhancement, FakeEnhancer, rows

from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.jobs.policy import POLICIES
from magenet_batch.jobs.run import run_job
from magenet_batch.jobs.work import deciding
from magenet_batch.jobs.work.deciding import decide
from magenet_batch.records.vocabulary import SPOTS_LEFT

PIXELS = np.full((16, 16, 3), 100, np.uint8)
FOV = FieldOfView(x=8, y=8, radius=7, left=1, top=1, right=15, bottom=15, width=16, height=16)
WITHOUT, WITH = (FakeEnhancement(PIXELS + n) for n in (1, 2))
GAINED = {"vessel_contrast": 1.2, "change": 0.05, "flags": []}
FADED = {"area_contrast": 0.2, **GAINED}


class Asked:
    """Enhances once more, and counts how often it was asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> FakeEnhancement:
        self.times += 1
        return WITH


def decided(monkeypatch: pytest.MonkeyPatch, first: dict, second: dict):
    measured = {1: first, 2: second}
    monkeypatch.setattr(
        deciding, "measure_change",
        lambda pixels, enhanced, fov, **_: dict(measured[int(enhanced.pixels[0, 0, 0]) - 100]),
    )  # fmt: skip
    asked = Asked()
    found = decide(
        PIXELS, WITHOUT, FOV, before={}, policy=POLICIES["standard"],
        detector=FakeEnhancer(), with_spots=asked,
    )  # fmt: skip
    return found, asked.times


def test_dust_is_left_where_a_lesion_faded_with_it(monkeypatch: pytest.MonkeyPatch):
    found, times = decided(
        monkeypatch, FADED | {"estimated_spots": 0.02}, GAINED | {"estimated_spots": 0.0}
    )
    assert (found.kept, found.spots_left, found.enhanced, times) == (None, True, WITH, 1)
    assert found.measured["estimated_spots"] == 0.02  # it is still there, and was seen


def test_where_the_lesion_fades_all_the_same_the_original_is_delivered(
    monkeypatch: pytest.MonkeyPatch,
):
    first = FADED | {"estimated_spots": 0.02}
    found, times = decided(monkeypatch, first, FADED | {"estimated_spots": 0.0})
    assert (found.kept, found.spots_left, times) == ("lesion_faded", False, 1)
    assert (found.enhanced, found.measured) == (WITHOUT, first)


@pytest.mark.parametrize(
    "first",
    [
        GAINED | {"estimated_spots": 0.02},
        FADED | {"estimated_spots": 0.0},
        FADED,
        GAINED | {"estimated_spots": 0.02, "macula_contrast": 0.1},
    ],
    ids=["nothing faded", "no dust", "a network without the stage", "another reason"],
)
def test_nothing_else_is_enhanced_twice(monkeypatch: pytest.MonkeyPatch, first: dict):
    found, times = decided(monkeypatch, first, GAINED)
    assert (found.enhanced, found.measured, found.spots_left, times) == (WITHOUT, first, False, 0)


class Dusty(FakeEnhancer):
    """Paints the brightest spot over, unless it is told to leave spots."""

    def enhance(self, pixels, fov, *, cancelled=lambda: False, spots=True):
        found = super().enhance(pixels, fov, cancelled=cancelled)
        changed = found.pixels.copy()
        if spots:
            changed[..., 2] = 0
        return replace(found, pixels=changed, estimates=replace(found.estimates, spots=0.02))


def dusty(device: str, threads: int) -> Dusty:
    return Dusty()


def test_a_row_says_that_dust_was_left(options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def change(pixels, enhanced, fov, *, before, detector):
        gone = not enhanced.pixels[..., 2].any()
        return (FADED if gone else GAINED) | {"estimated_spots": 0.02, "flags": ["x"]}

    monkeypatch.setattr(deciding, "measure_change", change)
    run_job(
        options(policy="standard", policy_set=("good=off", "reject=off", "seen=off")),
        enhancer_factory=dusty,
    )
    found = [r for r in rows(tmp_path / "out") if r["status"] == "enhanced"]
    assert found
    assert {r["message"] for r in found} == {SPOTS_LEFT}
    assert {r["reason"] for r in found} == {None}
    assert all(r["flags"] == ["x"] for r in found)
