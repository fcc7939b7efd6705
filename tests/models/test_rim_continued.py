"""What lies outside the field of view: the same inside, no edge at its edge."""

import cv2
import numpy as np
import pytest

from magenet_batch.models.restoration.rim import continued
from magenet_batch.phantom import make_phantom

SIZE = 160


def disc(radius: float) -> np.ndarray:
    at = np.arange(SIZE) - SIZE / 2 + 0.5
    return (np.hypot(at[:, None], at) < radius).astype(np.uint8)


def shrunk(mask: np.ndarray, pixels: int) -> np.ndarray:
    return cv2.erode(mask, np.ones((2 * pixels + 1,) * 2, np.uint8)) > 0


def ramp() -> np.ndarray:
    at = np.linspace(0.2, 0.7, SIZE, dtype=np.float32)
    return np.stack([np.tile(at, (SIZE, 1)), np.tile(at[:, None], SIZE), at[:, None] * at], 2)


def test_inside_every_pixel_stays():
    phantom = make_phantom(3, size=SIZE)
    pixels = phantom.pixels.astype(np.float32) / 255
    mask = phantom.fov.astype(np.uint8)
    result = continued(pixels * mask[..., None], mask)
    inside = shrunk(mask, 2)
    assert inside.any()
    assert np.array_equal(result[inside], pixels[inside])
    assert result.dtype == np.float32


def test_an_image_that_is_lit_everywhere_is_returned_as_it_is():
    pixels = ramp()
    assert continued(pixels, np.ones((SIZE, SIZE), np.uint8)) is pixels


@pytest.mark.parametrize("radius", [75, 40, 12])
def test_the_edge_is_no_edge(radius: float):
    """The border was black, in steps of half the range; what is put there goes on smoothly."""
    mask = disc(radius)
    result = continued(ramp() * mask[..., None], mask)
    steps = max(np.abs(np.diff(result, axis=axis)).max() for axis in (0, 1))
    assert np.abs(np.diff(ramp() * mask[..., None], axis=0)).max() > 0.2
    assert steps < 0.06
    away = ~mask.astype(bool)
    assert result[away].min() > 0.9 * ramp()[mask > 0].min()
    assert result[away].max() < 1.1 * ramp()[mask > 0].max()


def test_what_is_outside_does_not_matter():
    mask = disc(60)
    black, noisy = ramp() * mask[..., None], ramp()
    noisy[mask == 0] = np.random.default_rng(1).random((int((mask == 0).sum()), 3))
    assert np.array_equal(continued(black, mask), continued(noisy, mask))


def test_a_constant_is_continued_by_itself():
    result = continued(np.full((SIZE, SIZE, 3), 0.4, np.float32), disc(50))
    assert np.allclose(result, 0.4, atol=1e-3)


@pytest.mark.parametrize("shape", [(160, 90), (33, 200), (7, 5)])
def test_any_shape_and_a_mask_that_holds_nothing(shape: tuple[int, int]):
    pixels = np.full((*shape, 3), 0.5, np.float32)
    for mask in (np.zeros(shape, np.uint8), np.eye(*shape, dtype=np.uint8)):
        result = continued(pixels, mask)
        assert result.shape == pixels.shape
        assert np.isfinite(result).all()
