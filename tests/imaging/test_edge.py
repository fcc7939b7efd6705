"""The soft edge of film is border; the edge of a field of view on black is not touched."""

import cv2
import numpy as np
import pytest

from magenet_batch.imaging.edge import border_level, border_share, covered_part, edge_levels
from magenet_batch.imaging.fov import FieldOfView, analysis_copy

FOV = FieldOfView(200, 200, 160, 0, 0, 400, 400, 400, 400)


def picture(*, border: float, radius: float = 156, level: float = 120) -> np.ndarray:
    """A disc of that radius with a soft edge: smaller than the field of view that was found."""
    y, x = np.mgrid[:400, :400] + 0.5 - 200
    lit = np.clip((radius - np.hypot(x, y)) / 3 + 0.5, 0, 1)
    grey = border + (level - border) * lit
    return np.rint(grey[..., None] * (1.0, 0.7, 0.5)).astype(np.uint8)


def shares(pixels: np.ndarray) -> np.ndarray | None:
    small = analysis_copy(pixels, FOV)
    levels = edge_levels(small, covered_part(small, FOV.mask(400, 400)), FOV)
    if levels is None:
        return None
    full = np.iinfo(pixels.dtype).max
    light = pixels.max(2).astype(np.float32) / full
    return border_share(light, levels, slice(0, 400), slice(0, 400), (400, 400))


@pytest.mark.parametrize("border", [0, 4, 8])
def test_beside_a_black_border_nothing_changes(border: float):
    assert shares(picture(border=border)) is None


@pytest.mark.parametrize("deep", [False, True])
def test_film_inside_the_field_of_view_is_border(deep: bool):
    pixels = picture(border=30)
    found = shares(pixels.astype(np.uint16) * 257 if deep else pixels)
    assert found is not None
    row = found[200]
    assert row[200 + 159] > 0.9
    assert row[200 + 152] == 0
    assert not found[cv2.circle(np.zeros((400, 400), np.uint8), (200, 200), 150, 1, -1) > 0].any()
    assert (np.diff(row[350:360]) >= -0.02).all()


def test_a_well_lit_edge_of_film_is_no_border():
    found = shares(picture(border=30, radius=163))
    assert found is None or not found[FOV.mask(400, 400)].any()


def test_a_field_as_dark_as_its_border_is_no_border():
    assert shares(picture(border=40, level=50)) is None


def test_parts_of_a_picture_are_as_the_whole():
    pixels = picture(border=30)
    small = analysis_copy(pixels, FOV)
    levels = edge_levels(small, covered_part(small, FOV.mask(400, 400)), FOV)
    assert levels is not None
    light = pixels.max(2).astype(np.float32) / 255
    whole = border_share(light, levels, slice(0, 400), slice(0, 400), (400, 400))
    rows, columns = slice(30, 90), slice(100, 333)
    part = border_share(light[rows, columns], levels, rows, columns, (400, 400))
    assert np.abs(part - whole[rows, columns]).max() < 0.02


@pytest.mark.parametrize("level", [0, 10, 25])
@pytest.mark.parametrize("deep", [False, True])
def test_the_level_of_the_border_is_measured_beside_the_field_of_view(level: int, deep: bool):
    pixels = picture(border=level)
    if deep:
        pixels = pixels.astype(np.uint16) * 257
    small = analysis_copy(pixels, FOV)
    found = border_level(small, covered_part(small, FOV.mask(400, 400)))
    assert found == pytest.approx(level / 255, abs=2 / 255)


def test_without_a_border_there_is_no_level():
    small = analysis_copy(picture(border=40), FOV)
    assert border_level(small, covered_part(small, np.ones((400, 400), bool))) == 0
