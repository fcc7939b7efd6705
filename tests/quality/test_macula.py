"""The macula: found in phantoms, and of the depth that was planted."""

import numpy as np
import pytest

from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.macula import MaculaPosition, find_macula, macula_depth


def planted(size: int, *, depth: float, x: float, y: float) -> tuple[np.ndarray, FieldOfView]:
    """An even disc with a dark spot of 20 px at 512: (H, W, 3) uint16."""
    half = size / 2
    fov = FieldOfView(half, half, half, 0, 0, size, size, size, size)
    rows, columns = np.mgrid[:size, :size] / size
    spot = np.hypot(columns - x, rows - y) < 20 / 512
    light = 0.5 * (1 - depth * spot) * fov.mask(size, size)
    return np.repeat((light * 65535).astype(np.uint16)[..., None], 3, axis=2), fov


@pytest.mark.parametrize("size", [300, 512, 1200])
@pytest.mark.parametrize(("depth", "x", "y"), [(0.1, 0.5, 0.5), (0.3, 0.4, 0.62), (0.5, 0.7, 0.5)])
def test_depth_and_place_are_those_which_were_planted(size: int, depth: float, x: float, y: float):
    pixels, fov = planted(size, depth=depth, x=x, y=y)
    place = find_macula(pixels, fov)
    assert np.hypot(place.x - 512 * x, place.y - 512 * y) < 6
    assert macula_depth(pixels, fov, place) == pytest.approx(depth, abs=5e-3)


def test_it_is_where_phantoms_have_it():
    apart = []
    for seed in range(20):
        phantom = make_phantom(seed)
        fovea = np.array(phantom.fovea_centre)
        if np.linalg.norm(fovea - phantom.fov_centre) > 0.5 * phantom.fov_radius:
            continue
        fov = find_fov(phantom.pixels)
        place = find_macula(phantom.pixels, fov)
        top, _, left, _ = fov.box(*phantom.pixels.shape[:2])
        scale = 512 / (2 * fov.radius)
        apart.append(np.linalg.norm(np.array(place) / scale + (left, top) - fovea) * scale)
    assert np.median(apart) < 8 and np.mean(np.array(apart) < 25) >= 0.9


def test_a_brighter_or_darker_picture_is_as_deep():
    pixels, fov = planted(512, depth=0.3, x=0.5, y=0.5)
    place = find_macula(pixels, fov)
    half = macula_depth(pixels // 2, fov, place)
    assert half == pytest.approx(macula_depth(pixels, fov, place), abs=1e-3)


def test_where_nothing_fits_there_is_nothing_to_say():
    pixels, fov = planted(512, depth=0.3, x=0.5, y=0.5)
    slit = FieldOfView(256, 256, 256, 250, 0, 262, 512, 512, 512)
    assert find_macula(pixels, slit) is None
    assert macula_depth(pixels, fov, MaculaPosition(-1000, -1000)) is None


@pytest.mark.parametrize("turn", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("width", [0.05, 0.15])
def test_the_edge_of_a_shadow_is_no_macula(turn: float, width: float):
    pixels, fov = planted(512, depth=0.0, x=0.5, y=0.5)
    rows, columns = np.mgrid[:512, :512] / 512 - 0.5
    across = (np.cos(turn) * columns + np.sin(turn) * rows) / width
    for lost in (0.3, 0.6):
        light = 1 - lost / (1 + np.exp(-across))
        assert find_macula((pixels * light[..., None]).astype(np.uint16), fov) is None


@pytest.mark.parametrize("slope", [0.1, 0.25])
def test_in_uneven_light_it_is_found_all_the_same(slope: float):
    pixels, fov = planted(512, depth=0.35, x=0.6, y=0.45)
    light = np.linspace(1 - slope, 1, 512)[None, :, None]
    place = find_macula((pixels * light).astype(np.uint16), fov)
    assert np.hypot(place.x - 512 * 0.6, place.y - 512 * 0.45) < 8
