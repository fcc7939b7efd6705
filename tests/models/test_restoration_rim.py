"""The rim of the field of view: no edge outside, and given back what blur took from it."""

import cv2
import numpy as np
import pytest

from magenet_batch.models.restoration.rim import continued, relit_rim, trusted


def disc(size: int = 200, radius: float = 80) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return (np.hypot(y, x) <= radius).astype(np.float32)


def slope(size: int = 200) -> np.ndarray:
    across = np.linspace(0.3, 0.7, size, dtype=np.float32)
    return np.repeat(np.stack([across, 0.6 * across, 0.3 * across], 1)[None], size, 0)


@pytest.mark.parametrize("blur", [1.0, 2.5, 4.0])
def test_what_blur_mixes_into_the_rim_is_undone(blur: float):
    mask, clean = disc(), slope()
    dark = cv2.GaussianBlur(clean * mask[..., None], (0, 0), blur) * mask[..., None]
    lit = relit_rim(dark, mask, blur=blur)
    rim = (mask > 0) & (cv2.erode(mask, np.ones((7, 7))) == 0)
    before, after = (np.abs(p - clean)[rim].mean() for p in (dark, lit))
    assert after < 0.25 * before
    inner = cv2.erode(mask, np.ones((41, 41))) > 0
    assert np.array_equal(lit[inner], dark[inner])


def test_a_side_that_was_cut_after_the_blur_is_not_brightened():
    mask, clean = disc(), slope()
    dark = cv2.GaussianBlur(clean * mask[..., None], (0, 0), 3.0) * mask[..., None]
    mask[:50] = 0
    dark[:50] = 0
    lit = relit_rim(dark, mask, blur=3.0)
    flat, round_ = np.s_[50:52, 85:115], np.s_[176:179, 85:115]
    assert np.abs(lit[flat] - dark[flat]).max() < 0.02
    before, after = (np.abs(p[round_] - clean[round_]).mean() for p in (dark, lit))
    assert after < 0.4 * before


def test_a_rim_that_is_not_dark_stays_as_it_is():
    mask = disc()
    pixels = (0.3 + 0.3 * slope()) * mask[..., None]
    assert np.array_equal(relit_rim(pixels, mask, blur=3.0), pixels)
    assert relit_rim(pixels, mask, blur=0.2) is pixels


def test_outside_goes_on_as_inside():
    mask, clean = disc(), slope()
    whole = continued(clean * mask[..., None], mask)
    core = cv2.erode(mask, np.ones((9, 9))) > 0
    assert np.array_equal(whole[core], clean[core])
    near = (mask == 0) & (cv2.dilate(mask, np.ones((9, 9))) > 0)
    assert np.abs(whole - clean)[near].mean() < 0.02
    assert whole.min() > 0.05
    everywhere = np.ones_like(mask)
    assert continued(clean, everywhere) is clean


def test_trust_grows_inwards():
    mask = disc()
    light, detail = trusted(mask, blur=2.0)
    for weight in (light, detail):
        assert weight[mask == 0].max() == 0
        assert weight[100, 100] == 1
        assert (np.diff(weight[100, 100:]) <= 0).all()
    assert (detail <= light).all()
