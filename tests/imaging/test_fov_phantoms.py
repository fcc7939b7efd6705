"""The field of view of phantoms is found, well lit or spoiled."""

import cv2
import numpy as np
import pytest

from magenet_batch.imaging.fov import find_fov
from magenet_batch.phantom import make_phantom

SEEDS = range(5)


def dark(picture):
    return 0.15 * picture


def hazy(picture):
    lit = picture.max(2, keepdims=True) > 12
    return np.where(lit, 0.4 * picture + 0.6 * np.array([190.0, 180, 160]), picture)


def dark_on_one_side(picture):
    return picture * np.linspace(0.12, 1, picture.shape[1])[None, :, None]


def labelled(picture):
    picture = picture.astype(np.uint8)
    size = picture.shape[1]
    picture[: size // 12, : size // 8] = 255
    cv2.putText(
        picture, "12/03/2014", (int(0.72 * size), int(0.99 * picture.shape[0])),
        cv2.FONT_HERSHEY_SIMPLEX, size / 1000, (230, 230, 230), max(1, size // 400),
    )  # fmt: skip
    return picture


def overlap(picture, mask):
    fov = find_fov(np.clip(picture, 0, 255).astype(np.uint8))
    assert fov is not None
    assert 0 <= fov.coverage <= 1
    found = fov.mask(*mask.shape)
    return (found & mask).sum() / (found | mask).sum()


@pytest.mark.parametrize("size", [200, 640])
@pytest.mark.parametrize("seed", SEEDS)
def test_phantoms_of_every_shape(seed, size):
    phantom = make_phantom(seed, size=size, height=round(0.8 * size))
    assert overlap(phantom.pixels, phantom.fov) > 0.97


@pytest.mark.parametrize("spoil", [dark, hazy, dark_on_one_side, labelled])
@pytest.mark.parametrize("seed", SEEDS)
def test_spoiled_phantoms(seed, spoil):
    phantom = make_phantom(seed, size=480, height=400)
    assert overlap(spoil(phantom.pixels.astype(np.float32)), phantom.fov) > 0.97
