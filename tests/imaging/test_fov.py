"""The field of view is found where there is one, and only there."""

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenet_batch.imaging.fov import FieldOfView, find_fov


def disc_image(
    height=480,
    width=640,
    *,
    x=None,
    y=None,
    radius=None,
    level=150.0,
    border=4.0,
    cut=0.0,
    dark_side=0.0,
    seed=0,
):
    """A shaded, noisy disc and its true mask (H, W) bool."""
    x, y = width / 2 if x is None else x, height / 2 if y is None else y
    radius = 0.46 * height if radius is None else radius
    rows, columns = np.mgrid[:height, :width] + 0.5
    distance = np.hypot(columns - x, rows - y)
    mask = (distance <= radius) & (rows > y - radius + cut) & (rows < y + radius - cut)
    shade = 1 - 0.3 * (distance / radius) ** 2
    shade *= 1 - dark_side * np.clip((columns - x + radius) / (2 * radius), 0, 1)
    colour = level * np.array([1.0, 0.55, 0.25])
    picture = np.where(mask[..., None], shade[..., None] * colour, border)
    picture += np.random.default_rng(seed).normal(0, 2, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8), mask


def overlap(fov, mask):
    found = fov.mask(*mask.shape)
    return (found & mask).sum() / (found | mask).sum()


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"radius": 270.0},  # cut by the frame at top and bottom
        {"radius": 370.0},  # only the corners are dark
        {"cut": 30.0},  # straight cuts inside the picture
        {"level": 40.0, "border": 1.0},
        {"dark_side": 0.8},
        {"x": 290.0, "y": 260.0, "radius": 180.0},
        {"border": 20.0},  # a film scan
    ],
    ids=str,
)
def test_the_mask_is_right(kind):
    picture, mask = disc_image(**kind)
    fov = find_fov(picture)
    assert fov is not None
    assert overlap(fov, mask) > 0.97


def test_burnt_in_text_and_notches_do_not_disturb():
    picture, mask = disc_image()
    cv2.putText(picture, "2019.01.02", (470, 30), cv2.FONT_HERSHEY_PLAIN, 1.5, (0, 255, 0), 2)
    picture[:40, :60] = 255
    picture[90:110, 480:510] = 150
    fov = find_fov(picture)
    assert fov is not None
    assert overlap(fov, mask) > 0.97


@settings(max_examples=15, deadline=None)
@given(
    st.integers(200, 500), st.floats(1.0, 1.6), st.floats(0.4, 0.6),
    st.floats(-0.05, 0.05), st.floats(-0.05, 0.05), st.floats(60, 220), st.integers(0, 99),
)  # fmt: skip
def test_any_disc_is_found(height, aspect, radius, dx, dy, level, seed):
    width = round(height * aspect)
    picture, mask = disc_image(
        height, width, x=width * (0.5 + dx), y=height * (0.5 + dy), radius=radius * height,
        level=level, seed=seed,
    )  # fmt: skip
    fov = find_fov(picture)
    assert fov is not None
    assert overlap(fov, mask) > 0.96


def test_sixteen_bits_and_every_size_agree():
    picture, mask = disc_image()
    deep = picture.astype(np.uint16) * 257
    large = cv2.resize(picture, (1920, 1440), interpolation=cv2.INTER_CUBIC)
    plain, deeper, larger = find_fov(picture), find_fov(deep), find_fov(large)
    assert dataclasses.astuple(plain) == pytest.approx(dataclasses.astuple(deeper), abs=0.1)
    assert abs(larger.radius / 3 - plain.radius) < 3
    assert overlap(larger, mask) > 0.96


def nothing_there():
    rng = np.random.default_rng(0)
    scene = cv2.resize(rng.integers(0, 255, (12, 16, 3)).astype(np.uint8), (640, 480))
    squares = np.kron(np.indices((6, 8)).sum(0) % 2, np.ones((50, 50)))
    framed = np.zeros((300, 400, 3), np.uint8)
    framed[50:250, 75:325] = 150
    return {
        "black": np.zeros((300, 400, 3), np.uint8),
        "white": np.full((300, 400, 3), 255, np.uint8),
        "one colour": np.full((300, 400, 3), (180, 90, 40), np.uint8),
        "dark noise": rng.integers(0, 9, (300, 400, 3)).astype(np.uint8),
        "noise": rng.integers(0, 255, (300, 400, 3)).astype(np.uint8),
        "ramp": np.tile(np.linspace(0, 255, 400).astype(np.uint8)[None, :, None], (300, 1, 3)),
        "rectangle": framed,
        "scene": scene,
        "chessboard": np.tile(squares[..., None] * 255, 3).astype(np.uint8),
        "tiny": np.full((5, 5, 3), 90, np.uint8),
    }  # fmt: skip


@pytest.mark.parametrize("name", nothing_there())
def test_absence_is_reported(name):
    assert find_fov(nothing_there()[name]) is None


def test_a_picture_that_is_all_retina_is_taken_whole():
    picture, _ = disc_image(600, 600, radius=500.0)
    fov = find_fov(picture)
    assert fov is not None
    assert fov.mask(600, 600).mean() > 0.98


def test_coverage_is_the_share_of_the_disc():
    full = FieldOfView(100, 100, 90, 0, 0, 200, 200, 200, 200)
    half = FieldOfView(100, 0, 90, 0, 0, 200, 200, 200, 200)
    assert full.coverage == pytest.approx(1, abs=0.02)
    assert half.coverage == pytest.approx(0.5, abs=0.02)


def test_mask_and_box_scale():
    fov = FieldOfView(100, 80, 60, 0, 30, 200, 130, 200, 160)
    mask = fov.mask(320, 400)
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    top, bottom, left, right = fov.box(320, 400)
    assert (top, bottom) == (rows[0], rows[-1] + 1) == (60, 260)
    assert abs(left - columns[0]) <= 1
    assert abs(right - columns[-1] - 1) <= 1
    assert fov.scaled(2).mask(320, 400).sum() == mask.sum()


@pytest.mark.parametrize("cut", [0, 45])
def test_without_its_rim_every_pixel_is_that_far_from_the_edge(cut: int):
    """Disc, and disc cut at top and bottom: what is left lies a tenth of the radius inside."""
    fov = FieldOfView(100, 100, 80, 0, cut, 200, 200 - cut, 200, 200)
    mask, inner = (f.mask(200, 200) for f in (fov, fov.without_rim(0.1)))
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    assert depth[inner].min() >= 8 - 1
    assert inner[depth > 8 + 3].all()
    assert np.array_equal(fov.without_rim(0).mask(200, 200), mask)
