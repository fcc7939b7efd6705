"""Has anything faded, or been painted? Planted in phantoms, where the truth is known."""

import cv2
import numpy as np
import pytest

from magenet_batch.degradation import preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.fading import MEASURES, line_gain, measure_fading
from magenet_batch.quality.limits import LEAST, MOST

DARK = np.array((0.2, 0.45, 0.3))


def phantom(seed: int, size: int):
    """Pixels, field of view, and a map of the vessels."""
    eye = make_phantom(seed, size=size)
    return eye.pixels, find_fov(eye.pixels), eye.vessels.astype(np.float32)


def area(pixels: np.ndarray, fov, size: float, share: float) -> np.ndarray:
    """Pixels with a dark area of so many radii, at a share of its contrast."""
    rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    away = np.hypot(rows - fov.y - 0.1 * fov.radius, columns - fov.x + 0.2 * fov.radius)
    inside = np.clip((size - away / fov.radius) / 0.008, -40, 40)
    return np.rint(pixels * (1 - share * DARK / (1 + np.exp(-inside[..., None])))).astype(np.uint8)


@pytest.mark.parametrize("size", [0.02, 0.05, 0.12, 0.3, 0.5])
@pytest.mark.parametrize("lost", [0.2, 0.4, 0.6])
def test_an_area_of_any_size_that_is_bleached_is_found(size: float, lost: float):
    pixels, fov, _ = phantom(5, 600)
    before, after = (area(pixels, fov, size, share) for share in (1, 1 - lost))
    found = measure_fading(before, after, fov, vessels=None)["area_contrast"]
    assert found is not None and found < LEAST["area_contrast"]


def test_few_true_restorations_are_called_faded_or_painted():
    called = []
    for seed in range(4):
        pixels, fov, vessels = phantom(seed, 512)
        for kind in ("haze", "gradient", "yellow", "blur"):
            params = sample_degradation(np.random.default_rng(seed), preset(f"evaluation:{kind}"))
            before = degrade_pixels(pixels, params, mask=fov.mask(512, 512))
            found = measure_fading(before, pixels, fov, vessels=vessels)
            faded = [name for name in LEAST if (found[name] or 1) < LEAST[name]]
            if faded or found["new_structure"] > MOST["new_structure"]:
                called.append((seed, kind, found))
    assert len(called) <= 1, called


@pytest.mark.parametrize("seed", range(3))
def test_an_unchanged_image_keeps_everything(seed: int):
    pixels, fov, vessels = phantom(seed, 400)
    found = measure_fading(pixels, pixels, fov, vessels=vessels)
    assert found["new_structure"] == 0
    kept = [found[name] for name in LEAST if found[name] is not None]
    assert kept == pytest.approx([1.0] * len(kept))


def fainter(pixels: np.ndarray, vessels: np.ndarray, share: float) -> np.ndarray:
    """Vessels brought nearer to what a closing fills them with."""
    filled = cv2.morphologyEx(pixels, cv2.MORPH_CLOSE, np.ones((13, 13), np.uint8))
    where = share * np.clip(2 * cv2.GaussianBlur(vessels, (0, 0), 1.5), 0, 1)[..., None]
    return np.rint(pixels + where * (filled.astype(float) - pixels)).astype(np.uint8)


def test_vessels_that_lose_a_tenth_are_found():
    pixels, fov, vessels = phantom(2, 600)
    found = measure_fading(pixels, fainter(pixels, vessels, 0.1), fov, vessels=vessels)
    assert found["vessel_contrast"] < LEAST["vessel_contrast"]


def noisy(pixels: np.ndarray, seed: int, *, level: float) -> np.ndarray:
    """Pixels with noise of so many grey levels, as coarse as cameras leave it."""
    grain = np.random.default_rng(seed).normal(0, level, pixels.shape)
    grain = cv2.GaussianBlur(grain, (0, 0), 0.8)
    return np.rint(pixels + grain).clip(0, 255).astype(np.uint8)


def test_noise_that_is_taken_away_had_darkened_the_lines_that_are_found():
    kept, lost = [], []
    for seed in range(4):
        pixels, fov, vessels = phantom(seed, 600)
        before = noisy(pixels, seed, level=13)
        # As a map of the noisy picture would: likelier where noise made vessels darker.
        darker = cv2.GaussianBlur((pixels.astype(np.float32) - before)[..., 1], (0, 0), 3.0)
        likely = vessels * (0.3 + 0.7 * (darker > 0))
        for found, after in ((kept, pixels), (lost, fainter(pixels, vessels, 0.15))):
            measured = measure_fading(before, after, fov, vessels=likely)
            found.append(measured["vessel_contrast"] < LEAST["vessel_contrast"])
    assert sum(kept) <= 1 and all(lost), (kept, lost)


@pytest.mark.parametrize(
    ("waves", "least", "most"), [(0, 1, 1), (0.02, 1.05, 1.1), (0.2, 1.1, 1.1)]
)
def test_what_noise_lends_to_lines_is_bounded(waves: float, least: float, most: float):
    mask, lines = np.ones((200, 200), bool), np.zeros((200, 200), bool)
    lines[:, 100:104] = True
    new = np.where(lines, -0.1, 0.0).astype(np.float32)
    # Waves along the lines: their energy is everywhere, their mean on the lines is zero.
    rows = np.cos(2 * np.pi * (np.arange(200) + 0.5) / 10).astype(np.float32)[:, None]
    gain = line_gain(new + waves * rows, new, mask, lines)
    assert least - 0.02 <= gain <= most + 0.02


@pytest.mark.parametrize("lost", [0.4, 0.6])
def test_a_dark_area_as_large_as_the_darkest_part_is_no_noise(lost: float):
    pixels, fov, _ = phantom(5, 600)
    before, after = (area(pixels, fov, 0.33, share) for share in (1, 1 - lost))
    found = measure_fading(noisy(before, 1, level=4), after, fov, vessels=None)
    assert found["area_contrast"] < LEAST["area_contrast"]


def test_noise_in_the_dark_that_is_taken_away_is_no_loss():
    pixels, fov, _ = phantom(3, 600)
    slope = np.linspace(0.5, 1, pixels.shape[1])[None, :, None]
    dim = np.rint(pixels * slope).astype(np.uint8)
    found = measure_fading(noisy(dim, 2, level=6), dim, fov, vessels=None)
    assert found["area_contrast"] is None or found["area_contrast"] >= LEAST["area_contrast"]


def test_a_retina_painted_on_fog_is_found():
    pixels, fov, _ = phantom(1, 512)
    fog = cv2.GaussianBlur(pixels, (0, 0), 25)
    found = measure_fading(fog, pixels, fov, vessels=None)
    assert found["new_structure"] > MOST["new_structure"]


def test_depth_of_bits_changes_nothing():
    pixels, fov, _ = phantom(3, 400)
    before, after = (area(pixels, fov, 0.2, share) for share in (1, 0.7))
    eight = measure_fading(before, after, fov, vessels=None)
    deep = (x.astype(np.uint16) * 257 for x in (before, after))
    sixteen = measure_fading(*deep, fov, vessels=None)
    assert {k: v for k, v in sixteen.items() if v is not None} == pytest.approx(
        {k: v for k, v in eight.items() if v is not None}, rel=0.02
    )


def test_a_field_that_is_too_small_says_nothing():
    fov = FieldOfView(8, 8, 7, 0, 7, 16, 9, 16, 16)
    pixels = np.zeros((16, 16, 3), np.uint8)
    found = measure_fading(pixels, pixels, fov, vessels=None)
    assert set(found) == set(MEASURES)
    assert all(value in (None, 0.0) for value in found.values())
