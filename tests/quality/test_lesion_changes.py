"""Spots and stretches on one side only are found; what is the same on both sides is not."""

import cv2
import numpy as np
import pytest

from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.fading import MEASURES
from magenet_batch.quality.fidelity import (
    LIMITS,
    longest_unmatched,
    measure_fidelity,
    overall_fidelity,
)
from magenet_batch.quality.lesions import lesion_changes
from magenet_batch.quality.measures import MeasuringCopy
from magenet_batch.records.schema import FIDELITY_MEASURES

KEYS = {"lesion_new", "lesion_lost", "lesion_contrast"}
PHANTOM = make_phantom(2, size=560)
PIXELS = PHANTOM.pixels
FOUND = find_fov(PIXELS)
assert FOUND is not None
FOV: FieldOfView = FOUND
PLAIN = np.full_like(PIXELS, 110)
DISC = FieldOfView(280, 280, 260, 0, 0, 560, 560, 560, 560)


def with_spot(pixels: np.ndarray, *, radius: int, factor: float, x: int = 330, y: int = 350):
    share = np.zeros(pixels.shape[:2], np.float32)
    cv2.circle(share, (x, y), radius, 1.0, -1)
    share = cv2.GaussianBlur(share, (0, 0), 0.7)[..., None]
    return np.clip(pixels * (1 + (factor - 1) * share), 0, 255).astype(np.uint8)


def changes(before: np.ndarray, after: np.ndarray, fov: FieldOfView = DISC):
    return lesion_changes(*(MeasuringCopy.of(x, fov) for x in (before, after)))


def fidelity(after: np.ndarray, vessels: np.ndarray, *, before: np.ndarray = PIXELS):
    return measure_fidelity(
        before, after, FOV, vessels_before=PHANTOM.vessels, vessels_after=vessels
    )


def test_identical_pictures_have_no_spot_on_one_side():
    found = changes(PIXELS, PIXELS, FOV)
    assert set(found) == KEYS
    assert found["lesion_new"] == found["lesion_lost"] == 0
    assert found["lesion_contrast"] == pytest.approx(1)


@pytest.mark.parametrize(("radius", "factor"), [(3, 0.5), (3, 1.6), (6, 0.5), (6, 1.6)])
def test_a_planted_spot_is_new_and_one_taken_away_lost(radius: int, factor: float):
    spotted = with_spot(PLAIN, radius=radius, factor=factor)
    drawn, erased = changes(PLAIN, spotted), changes(spotted, PLAIN)
    assert drawn["lesion_new"] > LIMITS["lesion_new"]
    assert drawn["lesion_lost"] == pytest.approx(0, abs=0.01)
    assert erased["lesion_lost"] > LIMITS["lesion_lost"]
    assert erased["lesion_new"] == pytest.approx(0, abs=0.01)


def test_a_stronger_spot_counts_for_more():
    new = [
        changes(PLAIN, with_spot(PLAIN, radius=5, factor=f))["lesion_new"] for f in (0.9, 0.7, 0.5)
    ]
    assert new == sorted(new) and new[0] < new[-1] / 2


def test_spots_that_gain_where_a_denser_veil_is_lifted_are_not_new():
    """A veil that is dense on the left is lifted; a spot that only the output has is new."""
    spots = [(x, y) for x in range(120, 460, 34) for y in range(120, 460, 34)]
    clear = PLAIN
    for x, y in spots:
        clear = with_spot(clear, radius=4, factor=0.55, x=x, y=y)
    density = np.linspace(0.9, -0.4, 560).clip(0)[None, :, None]
    veiled = (clear * (1 - density) + 110 * density).astype(np.uint8)
    lifted = changes(veiled, clear)
    assert lifted["lesion_new"] < LIMITS["lesion_new"]
    painted = changes(veiled, with_spot(clear, radius=4, factor=0.55, x=205, y=239))
    assert painted["lesion_new"] > LIMITS["lesion_new"]


def test_no_value_is_ever_nan():
    rng = np.random.default_rng(0)
    for value in (0, 128, 255):
        flat = np.full_like(PIXELS, value)
        noise = rng.integers(0, 256, PIXELS.shape, np.uint8)
        for before, after in ((flat, flat), (flat, noise), (noise, flat), (PIXELS, flat)):
            row = fidelity(after, PHANTOM.vessels * 0, before=before)
            assert set(row) == set(FIDELITY_MEASURES) - {*MEASURES, "darkened"}
            assert all(v is None or np.isfinite(v) for v in row.values()), row
            assert row["fidelity"] is None or 0 <= row["fidelity"] <= 1


def test_identical_pictures_are_kept_wholly():
    row = fidelity(PIXELS, PHANTOM.vessels)
    assert row["fidelity"] == pytest.approx(1, abs=1e-3)
    assert row["vessel_new_longest"] == row["vessel_lost_longest"] == 0


def test_a_planted_spot_lowers_fidelity_of_a_whole_picture():
    row = fidelity(with_spot(PIXELS, radius=6, factor=0.3), PHANTOM.vessels)
    assert row["lesion_new"] > LIMITS["lesion_new"]
    assert row["fidelity"] < 0.5


def test_the_longest_stretch_is_as_long_as_what_was_drawn():
    old, new = np.zeros((300, 300), np.float32), np.zeros((300, 300), np.float32)
    for drawn in (old, new):
        cv2.line(drawn, (40, 60), (260, 60), 0.9, 3)
    cv2.line(new, (60, 150), (160, 150), 0.9, 3)
    cv2.line(new, (60, 220), (100, 220), 0.9, 3)
    assert longest_unmatched(new, old, radius=100) == pytest.approx(1, abs=0.05)
    assert longest_unmatched(old, new, radius=100) == 0
    assert longest_unmatched(old * 0, new, radius=100) is None


def test_an_invented_vessel_lowers_fidelity():
    drawn = PHANTOM.vessels.copy()
    cv2.line(drawn, (200, 240), (340, 330), 0.9, 3)
    row = fidelity(PIXELS, drawn)
    assert row["vessel_new_longest"] > LIMITS["vessel_new_longest"]
    assert row["vessel_lost_longest"] == 0
    assert row["fidelity"] < 0.5


@pytest.mark.parametrize("name", LIMITS)
def test_fidelity_is_a_half_at_each_limit(name: str):
    at = (
        {"structure_agreement": 1 - LIMITS[name]}
        if name == "disagreement"
        else {name: LIMITS[name]}
    )
    assert overall_fidelity(at) == pytest.approx(0.5)


def test_the_worst_counts_and_nothing_is_no_number():
    one = overall_fidelity({"vessel_new": LIMITS["vessel_new"] * 2})
    assert one == pytest.approx(0.2)
    assert overall_fidelity({"vessel_new": LIMITS["vessel_new"] * 2, "vessel_lost": 0.0}) == one
    assert overall_fidelity({"vessel_new": None}) is None
    assert overall_fidelity({}) is None
