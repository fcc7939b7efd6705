"""Contrast of vessels and lines that were planted."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenet_batch.evaluation.contrast import (
    background_grain,
    band_deviation,
    line_contrast,
    lines_of,
    vessel_contrast,
)
from magenet_batch.evaluation.segmenter import Segmenter
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.quality.measures import at_measuring_scale


def disc(size: int) -> FieldOfView:
    half = size / 2
    return FieldOfView(half, half, half, 0, 0, size, size, size, size)


def planted(
    size: int, *, depth: float, light: np.ndarray | float = 0.5, noise: float = 0.0
) -> tuple[np.ndarray, np.ndarray, FieldOfView]:
    """Lines of a relative depth in some light: (H, W, 3) uint16, mask, field of view."""
    fov, vessels = disc(size), np.zeros((size, size), np.uint8)
    width = max(1, round(4 * size / 512))
    for share in (0.3, 0.5, 0.7):
        at = round(share * size)
        cv2.line(vessels, (at, 0), (at, size - 1), 1, width)
    grain = np.random.default_rng(0).normal(0, noise, (size, size))
    value = light * (1 - depth * vessels) * (1 + grain)
    pixels = (np.clip(value, 0, 1) * 65535 * fov.mask(size, size)).astype(np.uint16)
    return np.repeat(pixels[..., None], 3, axis=2), vessels > 0, fov


@pytest.mark.parametrize("size", [256, 512, 1024])
@pytest.mark.parametrize("depth", [0.05, 0.3])
def test_contrast_is_that_which_was_planted(size: int, depth: float):
    pixels, vessels, fov = planted(size, depth=depth)
    assert vessel_contrast(pixels, vessels, fov) == pytest.approx(depth, abs=1e-3)


@given(low=st.floats(0.15, 0.5), high=st.floats(0.5, 0.95))
@settings(max_examples=10)
def test_uneven_light_changes_no_contrast(low: float, high: float):
    light = np.linspace(low, high, 256)[:, None]
    pixels, vessels, fov = planted(256, depth=0.2, light=light)
    assert vessel_contrast(pixels, vessels, fov) == pytest.approx(0.2, abs=2e-3)


@given(veil=st.floats(0.05, 0.8))
@settings(max_examples=10)
def test_a_veil_lowers_contrast_by_its_share_of_the_light(veil: float):
    pixels, vessels, fov = planted(256, depth=0.2)
    veiled = ((1 - veil) * (pixels / 65535) + veil * 0.7) * 65535
    expected = 0.2 * (1 - veil) * 0.5 / ((1 - veil) * 0.5 + veil * 0.7)
    found = vessel_contrast(veiled.astype(np.uint16), vessels, fov)
    assert found == pytest.approx(expected, abs=2e-3)


def test_grain_is_the_noise_that_the_high_pass_lets_through():
    pixels, vessels, fov = planted(512, depth=0.2, noise=0.03)
    kernel = np.outer(cv2.getGaussianKernel(9, 1), cv2.getGaussianKernel(9, 1))
    kernel = -kernel
    kernel[4, 4] += 1
    expected = 0.03 * np.sqrt((kernel**2).sum())
    assert background_grain(pixels, vessels, fov) == pytest.approx(expected, rel=0.03)


def test_smoothing_lowers_grain_and_contrast_to_grain_says_who_won():
    pixels, vessels, fov = planted(512, depth=0.2, noise=0.05)
    smooth = cv2.GaussianBlur(pixels, (0, 0), 1.0)
    assert background_grain(smooth, vessels, fov) < 0.4 * background_grain(pixels, vessels, fov)
    assert vessel_contrast(smooth, vessels, fov) < vessel_contrast(pixels, vessels, fov)


def test_without_vessels_there_is_nothing_to_say():
    pixels, vessels, fov = planted(256, depth=0.2)
    assert vessel_contrast(pixels, vessels & False, fov) is None
    assert background_grain(pixels, vessels | True, fov) is None
    assert line_contrast(pixels, np.zeros((512, 512), bool), fov) is None


def lined(depth: float, *, noise: float = 0.0) -> tuple[np.ndarray, FieldOfView]:
    pixels, _, fov = planted(640, depth=depth, noise=noise)
    return (pixels // 257).astype(np.uint8), fov


def test_lines_are_found_where_they_are():
    pixels, fov = lined(0.2, noise=0.03)
    lines = lines_of(pixels, fov, Segmenter.load())
    inner = slice(128, 384)  # rows where the rim is far
    at = [round(512 * share) for share in (0.3, 0.5, 0.7)]
    on = np.zeros(lines.shape[1], bool)
    for column in at:
        on[column - 7 : column + 8] = True
    assert lines[inner][:, at].mean() > 0.95
    assert lines[inner][:, on].mean() > 5 * lines[inner][:, ~on].mean()
    share = lines.sum() / at_measuring_scale(pixels, fov)[1].sum()
    assert 0.02 < share <= 0.061


@pytest.mark.parametrize("light", [0.02, 0.5])
def test_in_the_dark_and_in_grain_there_are_no_lines(light: float):
    dark, _, fov = planted(640, depth=0.3 if light < 0.1 else 0.0, light=light, noise=0.05)
    assert not lines_of((dark // 257).astype(np.uint8), fov, Segmenter.load()).any()


@pytest.mark.parametrize("factor", [0.5, 1.5, 2.0])
def test_line_contrast_follows_the_lines_and_not_the_noise(factor: float):
    before, fov = lined(0.2)
    lines = lines_of(before, fov, Segmenter.load())
    old = line_contrast(before, lines, fov)
    stronger, _ = lined(0.2 * factor)
    noisy, _ = lined(0.2 * factor, noise=0.04)
    assert line_contrast(stronger, lines, fov) / old == pytest.approx(factor, rel=0.06)
    assert line_contrast(noisy, lines, fov) / old == pytest.approx(factor, rel=0.1)
    assert band_deviation(noisy, fov) > 1.5 * band_deviation(stronger, fov)
