"""Tiles cover the field of view, once, and little beside it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.inference.tiles import Square


def discs(*, height: int, width: int, x: float, y: float, radius: float):
    fov = FieldOfView(x, y, radius, 0, 0, width, height, width, height)
    return Square.around(fov), fov.mask(height, width)


def counted(square: Square, mask: np.ndarray, largest: int) -> tuple[np.ndarray, list]:
    """How often each pixel of the picture is in a tile."""
    times = np.zeros(mask.shape, int)
    found = list(square.tiles(mask, largest=largest))
    for window in found:
        rows, columns, _, _ = square.overlap(window, *mask.shape)
        times[rows, columns] += 1
    return times, found


@given(
    st.integers(40, 300), st.integers(40, 300), st.floats(0.2, 0.8), st.floats(0.2, 0.8),
    st.floats(20, 200), st.sampled_from([16, 64, 256]),
)  # fmt: skip
def test_every_lit_pixel_is_in_one_tile(height, width, x, y, radius, largest):
    square, mask = discs(height=height, width=width, x=x * width, y=y * height, radius=radius)
    times, found = counted(square, mask, largest)
    assert times.max(initial=0) <= 1
    assert (times[mask] == 1).all()
    for window in found:
        assert all(edge % 8 == 0 for edge in window)
        assert 0 < window.bottom - window.top <= largest
        assert 0 < window.right - window.left <= largest
        assert 0 <= window.top < window.bottom <= square.side
        assert 0 <= window.left < window.right <= square.side


def test_a_camera_that_cuts_the_disc_needs_four_tiles():
    square, mask = discs(height=2848, width=4288, x=2144, y=1424, radius=1700)
    times, found = counted(square, mask, 1728)
    assert len(found) == 4
    assert times.sum() < 1.3 * mask.sum()


def test_without_a_lit_pixel_there_is_no_tile():
    square, mask = discs(height=64, width=64, x=32, y=32, radius=30)
    assert not list(square.tiles(np.zeros_like(mask), largest=64))


@pytest.mark.parametrize("halo", [0, 8, 1000])
def test_a_halo_ends_where_the_square_ends(halo):
    square, mask = discs(height=300, width=300, x=150, y=150, radius=140)
    for window in square.tiles(mask, largest=96):
        seen = square.widened(window, halo)
        assert seen.top == max(0, window.top - halo)
        assert seen.right == min(square.side, window.right + halo)
