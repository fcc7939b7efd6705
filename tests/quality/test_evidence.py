"""The reviewer's picture: its size, and colours that mean what they should."""

import cv2
import numpy as np
import pytest

from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.quality.evidence import KEPT, LOST, NEW, draw_evidence

WIDTH, HEIGHT = 300, 240
FOV = FieldOfView(150, 120, 115, 0, 0, WIDTH, HEIGHT, WIDTH, HEIGHT)
PLAIN = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
PANEL = (448, 560)  # height and width of one of the four


def vessels(*rows: int, strength: float = 0.9, thickness: int = 3) -> np.ndarray:
    drawn = np.zeros((HEIGHT, WIDTH), np.float32)
    for row in rows:
        cv2.line(drawn, (90, row), (210, row), strength, thickness)
    return drawn


def panels(after=PLAIN, old=None, new=None, before=PLAIN):
    drawn = draw_evidence(before, after, FOV, vessels_before=old, vessels_after=new)
    height, width = PANEL
    assert drawn.shape == (2 * height, 2 * width, 3) and drawn.dtype == np.uint8
    rows = (drawn[:height], drawn[height:])
    return [part for row in rows for part in (row[:, :width], row[:, width:])]


def colours(panel: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(map(int, c)) for c in np.unique(panel.reshape(-1, 3), axis=0)} - {(0, 0, 0)}


def at(panel: np.ndarray, row: int) -> tuple[int, ...]:
    return tuple(int(v) for v in panel[round(row * PANEL[0] / HEIGHT), PANEL[1] // 2])


def test_vessels_have_the_colour_of_what_became_of_them():
    drawn = panels(old=vessels(80, 120), new=vessels(80, 160))[3]
    assert [at(drawn, row) for row in (80, 120, 160)] == [KEPT, LOST, NEW]
    assert colours(drawn) == {KEPT, LOST, NEW}


@pytest.mark.parametrize("change", [{"thickness": 5}, {"thickness": 1}, {"strength": 0.6}])
def test_a_vessel_that_is_wider_or_fainter_is_kept(change: dict):
    drawn = panels(old=vessels(100), new=vessels(100, **change))[3]
    assert colours(drawn[:, 220:340]) == {KEPT}, "away from its ends"


def test_a_faint_vessel_that_becomes_clear_is_not_new():
    assert colours(panels(old=vessels(100, strength=0.35), new=vessels(100))[3]) == {KEPT}


def test_without_vessel_maps_their_panel_is_black():
    assert not panels()[3].any()
    assert not panels(old=vessels(100))[3].any()


def test_the_difference_is_four_times_that_of_lightness_inside_the_field_of_view():
    spot = PLAIN.copy()
    cv2.circle(spot, (150, 120), 3, (110,) * 3, -1)
    original, enhanced, difference, _ = panels(after=spot)
    assert (original == 100).all() and at(enhanced, 120) == (110,) * 3
    assert 128 + 36 <= at(difference, 120)[0] <= 128 + 40, "but for what the spot adds around it"
    assert at(difference, 40) == (128, 128, 128)
    assert not difference[:3, :3].any(), "nothing is said of the border"
    assert at(panels(after=PLAIN - (spot - PLAIN))[2], 120)[0] <= 128 - 36, "darker is darker"


@pytest.mark.parametrize("light", [0, 10, 150])
def test_light_that_changes_slowly_is_no_difference(light: int):
    lit = PLAIN + np.linspace(0, light, WIDTH).astype(np.uint8)[None, :, None]
    inside = FOV.without_rim(0.2).mask(*PANEL)
    assert np.abs(panels(after=lit)[2][inside].astype(int) - 128).max() <= 12
    assert (panels(after=PLAIN + np.uint8(light))[2][inside] == 128).all()


def test_both_depths_give_the_same_picture_every_time():
    rng = np.random.default_rng(1)
    before, after = (rng.integers(0, 256, PLAIN.shape, np.uint8) for _ in range(2))
    one, two = (panels(after, vessels(80), vessels(90), before) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    deep = panels(
        after.astype(np.uint16) * 257, vessels(80), vessels(90), before.astype(np.uint16) * 257
    )
    for a, b in zip(one[:2], deep[:2], strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1
