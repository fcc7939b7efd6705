"""Fidelity notices what was planted and keeps quiet about what was not."""

import cv2
import numpy as np
import pytest

from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.quality.fading import MEASURES
from magenet_batch.quality.fidelity import measure_fidelity, skeleton, soft_dice, unmatched_length
from magenet_batch.quality.limits import LIMITS
from magenet_batch.records.schema import FIDELITY_MEASURES

SIZE = 256
FOV = FieldOfView(128, 128, 120, 0, 0, SIZE, SIZE, SIZE, SIZE)
LONG = ((40, 100), (215, 100))
SHORT = ((60, 150), (147, 150))  # half as long


def vessels(*lines, strength=0.9, thickness=3, shift=0):
    drawn = np.zeros((SIZE, SIZE), np.float32)
    for (x0, y0), (x1, y1) in lines:
        cv2.line(drawn, (x0, y0 + shift), (x1, y1 + shift), strength, thickness)
    return drawn


def measured(before, after, old=None, new=None):
    plain = np.full((SIZE, SIZE, 3), 100, np.uint8)
    old = plain if old is None else old
    new = plain if new is None else new
    return measure_fidelity(old, new, FOV, vessels_before=before, vessels_after=after)


def test_the_keys_are_those_of_the_row():
    row = measured(vessels(LONG), vessels(LONG))
    elsewhere = (*MEASURES, "darkened")
    assert list(row) == [name for name in FIDELITY_MEASURES if name not in elsewhere]
    assert set(elsewhere) < set(FIDELITY_MEASURES)


def test_the_same_picture_is_perfectly_kept():
    row = measured(vessels(LONG, SHORT), vessels(LONG, SHORT))
    assert row["structure_agreement"] == pytest.approx(1)
    assert row["vessel_new"] == row["vessel_lost"] == row["colour_shift"] == row["change"] == 0
    assert row["wrong_colour"] == 0


def test_dice_is_exact_for_half_an_overlap():
    a, b = np.zeros((20, 20)), np.zeros((20, 20))
    a[:10], b[5:15] = 1, 1
    assert soft_dice(a, b) == pytest.approx(0.5)
    assert soft_dice(a * 0, b * 0) is None


def test_a_drawn_vessel_is_new_and_an_erased_one_lost():
    drawn = measured(vessels(LONG), vessels(LONG, SHORT))
    erased = measured(vessels(LONG, SHORT), vessels(LONG))
    assert drawn["vessel_new"] == pytest.approx(1 / 3, abs=0.06)
    assert drawn["vessel_lost"] == 0
    assert erased["vessel_lost"] == pytest.approx(1 / 3, abs=0.06)
    assert erased["vessel_new"] == 0


def test_a_faint_vessel_that_becomes_clear_is_not_new():
    faint = np.maximum(vessels(LONG), vessels(SHORT, strength=0.35))
    assert measured(faint, vessels(LONG, SHORT))["vessel_new"] == 0


@pytest.mark.parametrize("change", [{"shift": 2}, {"thickness": 7}, {"thickness": 1}])
def test_a_small_shift_or_another_width_is_no_loss(change):
    row = measured(vessels(LONG), vessels(LONG, **change))
    assert row["vessel_new"] == row["vessel_lost"] == 0


def test_a_large_shift_is_loss_and_invention():
    row = measured(vessels(LONG), vessels(LONG, shift=20))
    assert row["vessel_new"] > 0.9
    assert row["vessel_lost"] > 0.9


def test_what_lies_outside_the_field_of_view_does_not_count():
    outside = ((0, 2), (60, 2))
    assert measured(vessels(LONG), vessels(LONG, outside))["vessel_new"] == 0


def test_an_edge_along_the_rim_is_no_vessel():
    """Networks draw the edge of the field of view now on this side, now on that."""
    rim = np.zeros((SIZE, SIZE), np.float32)
    cv2.circle(rim, (128, 128), 119, 0.9, 2)
    row = measured(vessels(LONG), np.maximum(vessels(LONG), rim))
    assert row["vessel_new"] == row["vessel_new_longest"] == 0
    further_in = np.maximum(vessels(LONG), cv2.circle(np.zeros_like(rim), (128, 128), 108, 0.9, 2))
    assert measured(vessels(LONG), further_in)["vessel_new"] > 0.5


def test_no_vessels_give_nulls():
    none = np.zeros((SIZE, SIZE), np.float32)
    row = measured(none, none)
    assert row["structure_agreement"] is row["vessel_new"] is row["vessel_lost"] is None


def test_the_skeleton_is_thin_inside_and_empty_of_nothing():
    bar = np.zeros((60, 60), bool)
    bar[28:33, 10:50] = True
    lines = skeleton(bar)
    assert (lines <= bar).all()
    assert 30 <= lines.sum() <= 48
    assert not skeleton(np.zeros((9, 9), bool)).any()


def test_a_line_that_is_gone_from_the_pixels_is_lost_whatever_the_maps_say():
    plain = np.full((SIZE, SIZE, 3), 100, np.uint8)
    lined = plain.copy()
    cv2.line(lined, (70, 150), (180, 150), (60, 60, 60), 3)
    row = measured(vessels(LONG), vessels(LONG), lined, plain)
    assert row["vessel_lost"] == 0
    assert row["vessel_lost_longest"] > LIMITS["vessel_lost_longest"]
    assert row["fidelity"] < 0.5
    assert measured(vessels(LONG), vessels(LONG), plain, lined)["vessel_lost_longest"] == 0


def test_length_is_measured_on_the_sure_part():
    a = vessels(LONG)
    assert unmatched_length(a, a * 0) == 1
    assert unmatched_length(a * 0, a) is None


def test_colour_shift_is_that_of_lab():
    old = np.full((SIZE, SIZE, 3), 100, np.uint8)
    new = np.full((SIZE, SIZE, 3), (120, 100, 90), np.uint8)
    a, b = (
        cv2.cvtColor((x[:1, :1] / 255).astype(np.float32), cv2.COLOR_RGB2LAB) for x in (old, new)
    )
    row = measured(vessels(LONG), vessels(LONG), old, new)
    assert row["colour_shift"] == pytest.approx(float(np.linalg.norm(a - b)), rel=0.02)
    assert row["change"] == pytest.approx((20 + 10) / 3 / 255, rel=0.02)


def coloured(*rgb: float) -> np.ndarray:
    return np.full((SIZE, SIZE, 3), rgb, np.uint8)


def wrong_colour(old, new, veil=None):
    none = vessels(LONG)
    return measure_fidelity(
        old, new, FOV, vessels_before=none, vessels_after=none, veil=veil
    )["wrong_colour"]  # fmt: skip


ORANGE, GREY = np.array([190, 100, 50]), np.array([150, 150, 150])


def test_a_lifted_veil_is_no_wrong_colour_and_more_than_was_found_is():
    veiled, clear = coloured(*(0.6 * ORANGE + 0.4 * GREY)), coloured(*ORANGE)
    row = measured(vessels(LONG), vessels(LONG), veiled, clear)
    assert row["colour_shift"] > 20
    assert row["wrong_colour"] == wrong_colour(veiled, clear, veil=0.4) < 0.3 * row["colour_shift"]
    shifts = [wrong_colour(veiled, clear, veil=v) for v in (0.0, 0.05, 0.1, 0.4)]
    assert shifts == sorted(shifts, reverse=True) and shifts[0] > 2 * shifts[-1]
    assert wrong_colour(clear, veiled, veil=0.4) > LIMITS["wrong_colour"], "a veil that was laid"


@pytest.mark.parametrize("factor", [0.75, 0.9, 1.15])
def test_lightness_is_no_colour(factor):
    lab = cv2.cvtColor((coloured(*ORANGE) / 255).astype(np.float32), cv2.COLOR_RGB2LAB)
    lab[..., 0] *= factor
    other = (cv2.cvtColor(lab, cv2.COLOR_LAB2RGB).clip(0, 1) * 255).round().astype(np.uint8)
    assert wrong_colour(coloured(*ORANGE), other, veil=0.0) < 1.5


@pytest.mark.parametrize("veil", [0.0, 0.2, None])
@pytest.mark.parametrize("wrong", [(190, 100, 140), (100, 190, 50), (90, 100, 50), (120, 120, 120)])
def test_another_hue_is_a_wrong_colour_whatever_veil_was_lifted(wrong, veil):
    assert wrong_colour(coloured(*ORANGE), coloured(*wrong), veil) > LIMITS["wrong_colour"]


def test_a_grey_picture_that_takes_on_a_colour_is_wrong():
    assert wrong_colour(coloured(*GREY), coloured(*ORANGE), 0.2) > LIMITS["wrong_colour"]


def test_fine_detail_is_no_colour_shift():
    rng = np.random.default_rng(0)
    old = np.full((SIZE, SIZE, 3), 100, np.uint8)
    new = (100 + rng.choice([-8, 8], (SIZE, SIZE, 1))).repeat(3, 2).astype(np.uint8)
    row = measured(vessels(LONG), vessels(LONG), old, new)
    assert row["colour_shift"] < 0.5
    assert row["change"] == pytest.approx(8 / 255, rel=0.05)
