"""Has anything faded, or been painted? Planted in phantoms, where the truth is known."""

import cv2
import numpy as np
import pytest

from magenet_batch.degradation import preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.fading import MEASURES, measure_fading
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


def test_vessels_that_lose_a_tenth_are_found():
    pixels, fov, vessels = phantom(2, 600)
    filled = cv2.morphologyEx(pixels, cv2.MORPH_CLOSE, np.ones((13, 13), np.uint8))
    where = 0.1 * np.clip(2 * cv2.GaussianBlur(vessels, (0, 0), 1.5), 0, 1)[..., None]
    after = np.rint(pixels + where * (filled.astype(float) - pixels)).astype(np.uint8)
    found = measure_fading(pixels, after, fov, vessels=vessels)
    assert found["vessel_contrast"] < LEAST["vessel_contrast"]


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
