"""Spots and the shipped weights: dust goes, lesions stay, and grey stays grey."""

import numpy as np
import pytest
import torch

from magenet_batch.degradation import preset, sample_degradation
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.weights import load_weights
from magenet_batch.phantom import make_phantom
from magenet_batch.randomness import generator

SIZE = 512
SEEDS = (1, 2, 3, 5, 7)
BLOOD, EXUDATE = (60, 8, 5), (235, 205, 110)
PATCHES = {
    "a large haemorrhage": (-0.2, 0.3, 0.2, BLOOD),
    "a haemorrhage": (0.3, -0.3, 0.12, BLOOD),
    "a large exudate": (0.0, -0.4, 0.08, EXUDATE),
    "an exudate": (0.3, 0.3, 0.05, EXUDATE),
    "a small exudate": (-0.35, -0.2, 0.03, EXUDATE),
}
"""x, y and radius, relative to the radius of the field of view; and colour."""


@pytest.fixture(scope="module")
def stage() -> Enhancer:
    """The shipped spots stage without the others, which change phantoms too."""
    network, found = load_weights("small")
    assert isinstance(network, Restorer)
    assert network.spots is not None
    network.sensor = network.light = network.scatter = None
    return Enhancer(network, found, device=torch.device("cpu"))


def phantom(seed: int) -> tuple[np.ndarray, FieldOfView]:
    pixels = make_phantom(seed, size=SIZE).pixels
    fov = find_fov(pixels)
    assert fov is not None
    return pixels, fov


def spotted(pixels: np.ndarray, fov: FieldOfView, seed: int) -> np.ndarray:
    inside = fov.mask(SIZE, SIZE)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    how = [sample_degradation(generator(seed, "spots", 0), preset("spots"))]
    seen = apply_degradation(x, how, mask_B1HW=torch.from_numpy(inside)[None, None].float())
    levels = (seen.clamp(0, 1) * 255).round()[0].permute(1, 2, 0).numpy().astype(np.uint8)
    return np.where(inside[..., None], levels, pixels)


def psnr(x: np.ndarray, y: np.ndarray, fov: FieldOfView) -> float:
    apart = (x.astype(float) - y)[fov.mask(SIZE, SIZE)] / 255
    return float(-10 * np.log10(np.square(apart).mean() + 1e-6))


def test_spots_are_reduced(stage: Enhancer):
    gained, found = [], []
    for seed in SEEDS:
        pixels, fov = phantom(seed)
        dirty = spotted(pixels, fov, seed)
        done = stage.enhance(dirty, fov)
        gained.append(psnr(done.pixels, pixels, fov) - psnr(dirty, pixels, fov))
        assert done.estimates is not None
        found.append(done.estimates.spots)
    assert min(gained) >= -0.05, "what is not evident stays"
    assert np.mean(gained) >= 1
    assert np.mean(found) > 0.005


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("patch", PATCHES)
def test_lesions_are_not_taken_for_spots(stage: Enhancer, seed: int, patch: str):
    pixels, fov = phantom(seed)
    x, y, radius, colour = PATCHES[patch]
    down, across = np.mgrid[:SIZE, :SIZE]
    away = np.hypot(across - fov.x - x * fov.radius, down - fov.y - y * fov.radius) / fov.radius
    share = 0.8 / (1 + np.exp((away - radius) / (0.15 * radius)))[..., None]
    drawn = np.rint(pixels + share * (np.array(colour) - pixels)).astype(np.uint8)
    within = away < 0.6 * radius
    around = (away > 1.6 * radius) & (away < 2.4 * radius) & fov.mask(SIZE, SIZE)

    def contrast(image: np.ndarray) -> np.ndarray:
        return image[within].mean(0) - image[around].mean(0)

    before, after = contrast(drawn), contrast(stage.enhance(drawn, fov).pixels)
    assert np.abs(after / before - 1).max() <= 0.02


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dusty", [False, True], ids=["clean", "spotted"])
def test_grey_stays_grey(stage: Enhancer, seed: int, dusty: bool):
    pixels, fov = phantom(seed)
    seen = spotted(pixels, fov, seed) if dusty else pixels
    grey = np.repeat(np.rint(seen.mean(2, keepdims=True)).astype(np.uint8), 3, 2)
    done = stage.enhance(grey, fov).pixels
    assert int(np.ptp(done, axis=2).max()) <= 2
