"""Classical methods: their formulas, and the border that nobody may touch."""

import cv2
import numpy as np
import pytest

from magenet_batch.evaluation.baselines import BASELINES, Method, _dehazed, dark_channel, graham
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.phantom import make_phantom

PHANTOM = make_phantom(3, size=192)
FOV = find_fov(PHANTOM.pixels)
assert FOV is not None
MASK = FOV.mask(192, 192)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_method_keeps_shape_type_border_and_input(name: str):
    before = PHANTOM.pixels.copy()
    first, second = (BASELINES[name](PHANTOM.pixels, FOV) for _ in range(2))
    assert first.shape == before.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)
    assert np.array_equal(PHANTOM.pixels, before)
    assert np.array_equal(first[~MASK], before[~MASK])
    assert np.array_equal(first, before) == (name == "identity")


def test_graham_is_four_times_the_local_difference_about_grey():
    blurred = cv2.GaussianBlur(PHANTOM.pixels.astype(np.float32), (0, 0), FOV.radius / 30)
    expected = np.clip(4.0 * PHANTOM.pixels - 4 * blurred + 128, 0, 255).astype(np.uint8)
    assert np.array_equal(graham(PHANTOM.pixels, FOV)[MASK], expected[MASK])


def test_luminosity_lifts_shadows_more_than_light():
    dark = (PHANTOM.pixels * 0.3).astype(np.uint8)
    lit = BASELINES["luminosity"](dark, FOV)
    assert lit[MASK].mean() > 1.5 * dark[MASK].mean()
    white = np.full_like(dark, 255)
    assert np.array_equal(BASELINES["luminosity"](white, FOV), white)


def test_the_dark_channel_prior_undoes_an_even_veil():
    rng = np.random.default_rng(0)
    clear = rng.uniform(0, 1, (64, 64, 3)).astype(np.float32)
    clear[..., 2] *= rng.uniform(0, 0.05, (64, 64))  # a dark channel, as the prior assumes
    hazy = clear * 0.5 + 0.5 * 0.9
    hazy[:4, :4] = 0.9  # where the light of the veil can be seen
    restored = _dehazed(hazy.astype(np.float32), np.ones((64, 64), bool))
    inside = (slice(8, None), slice(8, None))
    assert np.abs(restored - clear)[inside].mean() < 0.3 * np.abs(hazy - clear)[inside].mean()


@pytest.mark.parametrize("method", [BASELINES["dcp"], BASELINES["dcp_inverted"], dark_channel])
def test_black_and_white_pictures_do_no_harm(method: Method):
    fov = FieldOfView(32, 32, 30, 2, 2, 62, 62, 64, 64)
    for value in (0, 255):
        flat = np.full((64, 64, 3), value, np.uint8)
        assert method(flat, fov).shape == flat.shape


def test_polyblur_inverts_a_blur_between_sharp_edges():
    rng = np.random.default_rng(0)
    patches = rng.integers(40, 215, (12, 12, 3), np.uint8)
    sharp = cv2.resize(patches, (192, 192), interpolation=cv2.INTER_NEAREST) * MASK[..., None]
    blurred = cv2.GaussianBlur(sharp, (0, 0), 1.5)
    inner = cv2.erode(MASK.astype(np.uint8), np.ones((15, 15))) > 0

    def apart(pixels: np.ndarray) -> float:
        return float(np.square(pixels.astype(float) - sharp)[inner].mean())

    assert apart(BASELINES["polyblur"](blurred, FOV)) < 0.75 * apart(blurred)
    assert apart(BASELINES["polyblur"](sharp, FOV)) < 0.75 * apart(blurred)
