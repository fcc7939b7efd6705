"""Spots, grain and blocks: what a camera adds is told from what an eye has."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenet_batch.degradation import DegradationParams
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.artefacts import ARTEFACTS, block_edges, describe_artefacts
from magenet_batch.quality.measures import MeasuringCopy

SIZE = 560


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return make_phantom(5, size=SIZE).pixels


def fov_of(pixels: np.ndarray) -> FieldOfView:
    fov = find_fov(pixels)
    assert fov is not None
    return fov


def features(pixels: np.ndarray) -> dict[str, float]:
    copy = MeasuringCopy.of(pixels, fov_of(pixels))
    found = [*describe_artefacts(copy.rgb, copy.mask), copy.blocks]
    return dict(zip(ARTEFACTS, found, strict=True))


def degraded(pixels: np.ndarray, **params: object) -> np.ndarray:
    mask = fov_of(pixels).mask(*pixels.shape[:2])
    return degrade_pixels(pixels, DegradationParams(**params), mask=mask)


def coded(pixels: np.ndarray, quality: int) -> np.ndarray:
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


SURFACE = np.full((512, 512, 3), (0.7, 0.35, 0.15), np.float32)
ALL = np.ones((512, 512), bool)


def spots_of(rgb: np.ndarray) -> dict[str, float]:
    return dict(zip(ARTEFACTS, describe_artefacts(rgb, ALL), strict=False))


def blob(strength: tuple[float, float, float]) -> np.ndarray:
    """Gaussians of 8 pixels on a grid, added to the surface."""
    point = np.zeros((512, 512), np.float32)
    point[32::64, 32::64] = 1
    soft = cv2.GaussianBlur(point, (0, 0), 8)
    return SURFACE + soft[..., None] / soft.max() * np.float32(strength)


@pytest.mark.parametrize(("sign", "kind", "other"), [(1, "bright", "dark"), (-1, "dark", "bright")])
def test_dirt_on_the_lens_is_measured_with_its_sign(sign: int, kind: str, other: str):
    found = spots_of(blob((0.1 * sign,) * 3))
    # A Gaussian of 8 pixels, seen through those of 6 and of 9.6: its height in closed form.
    near, far = (64 / (64 + s * s) for s in (6.0, 9.6))
    assert found[f"spot_{kind}_6_most"] == pytest.approx(0.1 * (near - far), rel=0.15)
    assert found[f"spot_{other}_6_most"] < 0.01


def test_a_coloured_lesion_is_no_dirt():
    """Exudates add red and green, not blue; haemorrhages take green, not red."""
    assert spots_of(blob((0.1, 0.1, 0.0)))["spot_bright_6_most"] < 1e-3
    assert spots_of(blob((0.0, -0.1, -0.1)))["spot_dark_6_most"] < 1e-3


def test_noise_parts_the_channels_and_a_change_of_light_does_not(photograph: np.ndarray):
    before = features(photograph)
    noisy = features(degraded(photograph, noise_read=0.03, noise_seed=3))
    dimmed = features(degraded(photograph, brightness=0.8))
    name = "grain_red_green_fine"
    assert noisy[name] < before[name] - 0.2
    assert dimmed[name] == pytest.approx(before[name], abs=0.1)
    assert noisy["grain_green_fine"] > before["grain_green_fine"] + 0.1


def test_agreement_is_the_correlation_of_the_channels():
    rng = np.random.default_rng(2)
    shared, own = rng.normal(size=(2, 400, 400)), rng.normal(size=(3, 400, 400))
    planes = [0.5 + 0.02 * (shared[0] + own[c]) for c in range(3)]
    rgb = np.stack(planes, -1).astype(np.float32)
    found = describe_artefacts(rgb, np.ones((400, 400), bool))
    values = dict(zip(ARTEFACTS, [*found, 0.0], strict=True))
    for pair in ("red_green", "red_blue", "green_blue"):
        assert values[f"grain_{pair}_fine"] == pytest.approx(0.5, abs=0.04)


def test_blocks_grow_with_compression(photograph: np.ndarray):
    fov = fov_of(photograph)
    found = [block_edges(coded(photograph, q), fov) for q in (95, 60, 30, 10)]
    assert found == sorted(found)
    assert found[-1] > found[0] + 0.5
    assert block_edges(degraded(photograph, blur_sigma=0.002), fov) == pytest.approx(0, abs=0.05)


def test_blocks_lie_on_the_grid_of_the_file(photograph: np.ndarray):
    """A border that is cut off moves the grid, and with it what counts as an edge of a block."""
    strong = coded(photograph, 10)
    shifted = np.ascontiguousarray(strong[3:, 3:])
    assert block_edges(strong, fov_of(strong)) > block_edges(shifted, fov_of(shifted)) + 0.5


def test_blocks_of_16_bits_and_of_wide_fields(photograph: np.ndarray):
    strong = coded(photograph, 20)
    fov = fov_of(strong)
    deep = strong.astype(np.uint16) * 257
    assert block_edges(deep, fov) == pytest.approx(block_edges(strong, fov), abs=1e-6)
    wide = cv2.resize(strong, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
    assert block_edges(wide, fov_of(wide)) == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(2, 60))
def test_any_picture_and_mask_gives_finite_numbers(seed: int, height: int, width: int):
    rng = np.random.default_rng(seed)
    rgb = rng.uniform(0, 1, (height, width, 3)).astype(np.float32) * (rng.random() < 0.8)
    mask = rng.random((height, width)) < rng.uniform(0.05, 1)
    mask[0, 0] = True
    found = describe_artefacts(rgb, mask)
    assert len(found) == len(ARTEFACTS) - 1
    assert np.isfinite(found).all()
