"""Classical enhancement, each method once and as its source says, as baselines.

All take (H, W, 3) RGB uint8 and a field of view, and leave what is outside it as it was.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.models.restoration.rim import continued

Method = Callable[[np.ndarray, FieldOfView], np.ndarray]


def identity(pixels: np.ndarray, fov: FieldOfView) -> np.ndarray:
    """Do nothing: the bar that most enhancement does not clear."""
    return pixels


def clahe(pixels: np.ndarray, fov: FieldOfView) -> np.ndarray:
    """Contrast-limited adaptive histogram equalisation of L*, limit 2, 8 x 8 tiles.

    Zuiderveld, Graphics Gems IV, 1994.
    """
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(lab[..., 0])
    return _inside(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), pixels, fov)


def luminosity(pixels: np.ndarray, fov: FieldOfView) -> np.ndarray:
    """Luminosity by a gamma curve in HSV, then contrast by CLAHE of L*.

    Zhou, Jin, Wang, Ye and Qian, IEEE TBME 65(3), 2018: every channel is scaled by V'/V with
    V' = V^(1/2.2), and CLAHE works on L* of the result.
    """
    value = pixels.max(2).astype(np.float32) / 255
    gain = np.power(np.maximum(value, 1 / 255), 1 / 2.2) / np.maximum(value, 1 / 255)
    lit = np.clip(pixels * gain[..., None], 0, 255).astype(np.uint8)
    return clahe(_inside(lit, pixels, fov), fov)


def dark_channel(pixels: np.ndarray, fov: FieldOfView) -> np.ndarray:
    """Haze removal by the dark channel prior, refined by a guided filter.

    He, Sun and Tang, IEEE TPAMI 33(12), 2011: omega 0.95, patch 15 px, least transmission 0.1,
    atmospheric light from the brightest 0.1 % of the dark channel; guided filter (He et al., TPAMI
    2013) of radius 60 px at 512 and epsilon 1e-4.
    """
    mask = fov.mask(*pixels.shape[:2])
    return _inside(_to_bytes(_dehazed(pixels.astype(np.float32) / 255, mask)), pixels, fov)


def dark_channel_inverted(pixels: np.ndarray, fov: FieldOfView) -> np.ndarray:
    """The dark channel prior on the inverted image, which lifts shadows instead of haze.

    Dong et al., ICME 2011.
    """
    mask = fov.mask(*pixels.shape[:2])
    restored = 1 - _dehazed(1 - pixels.astype(np.float32) / 255, mask)
    return _inside(_to_bytes(restored), pixels, fov)


def graham(pixels: np.ndarray, fov: FieldOfView) -> np.ndarray:
    """Local average subtraction: 4 x - 4 G(r/30) * x + 1/2.

    Graham, report on the Kaggle diabetic retinopathy competition, 2015. Its winner's preprocessing
    is often used as enhancement, and makes grey pictures with strong vessels of anything.
    """
    x = pixels.astype(np.float32)
    blurred = cv2.GaussianBlur(x, (0, 0), fov.radius / 30)
    return _inside(np.clip(4 * x - 4 * blurred + 128, 0, 255).astype(np.uint8), pixels, fov)


def unsharp(pixels: np.ndarray, fov: FieldOfView) -> np.ndarray:
    """Unsharp masking: x + (x - G * x), sigma 1 % of the radius."""
    x = pixels.astype(np.float32)
    sharper = 2 * x - cv2.GaussianBlur(x, (0, 0), max(0.5, fov.radius * 0.01))
    return _inside(np.clip(sharper, 0, 255).astype(np.uint8), pixels, fov)


def polyblur(pixels: np.ndarray, fov: FieldOfView) -> np.ndarray:
    """Blind deblurring by a polynomial of the estimated blur.

    Delbracio, Garcia-Dorado, Choi, Kelly and Milanfar, IEEE Transactions on Computational Imaging
    7, 2021: a Gaussian is estimated from the steepest gradient along 30 directions (c 0.352, b
    0.768) and its inverse is approximated by a polynomial of third degree (alpha 2, beta 3).
    Once, without the optional removal of halos; more rounds multiply the noise by 3 each.
    """
    mask = fov.mask(*pixels.shape[:2])
    x = continued((pixels * mask[..., None]).astype(np.float32) / 255, mask)
    kernel = _gaussian_by_gradients(x.mean(2), mask)
    powers = [x]
    for _ in range(3):
        powers.append(cv2.filter2D(powers[-1], -1, kernel, borderType=cv2.BORDER_REFLECT))
    alpha, beta = 2, 3
    factors = (beta, 5 - 3 * beta + alpha / 2, 3 * beta - alpha - 6, alpha / 2 - beta + 2)
    deblurred = sum(factor * power for factor, power in zip(factors, powers, strict=True))
    return _inside(_to_bytes(np.asarray(deblurred, np.float32)), pixels, fov)


BASELINES: dict[str, Method] = {
    "identity": identity, "clahe": clahe, "luminosity": luminosity, "dcp": dark_channel,
    "dcp_inverted": dark_channel_inverted, "graham": graham, "unsharp": unsharp,
    "polyblur": polyblur,
}  # fmt: skip


def _dehazed(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The dark channel prior on (H, W, 3) float32 in [0, 1]."""
    side = max(x.shape[:2])
    patch = np.ones((max(3, round(15 * side / 512)),) * 2, np.uint8)
    dark = cv2.erode(np.where(mask, x.min(2), 1.0).astype(np.float32), patch)
    inside = np.flatnonzero(mask)
    brightest = inside[np.argsort(dark.flat[inside])[-max(1, inside.size // 1000) :]]
    air = np.maximum(x.reshape(-1, 3)[brightest].mean(0), 0.05)
    scaled = np.where(mask, (x / air).min(2), 1.0).astype(np.float32)
    transmission = 1 - 0.95 * cv2.erode(scaled, patch)
    grey = cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)
    fine = _guided(grey, transmission, radius=max(2, round(60 * side / 512)), epsilon=1e-4)
    result: np.ndarray = (x - air) / np.maximum(fine, 0.1)[..., None] + air
    return result


def _gaussian_by_gradients(grey: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The blur that explains how steep the steepest edges are, direction by direction: 25 x 25."""
    inside = cv2.erode(mask.astype(np.uint8), np.ones((9, 9), np.uint8), borderValue=0) > 0
    inside = inside if inside.any() else mask
    low, high = np.quantile(grey[inside], (1e-4, 1 - 1e-4))
    down, across = np.gradient((grey - low) / max(high - low, 1e-3))
    angles = np.arange(30) * np.pi / 30
    steepest = np.array(
        [np.abs(np.cos(a) * across[inside] + np.sin(a) * down[inside]).max() for a in angles]
    )
    flattest = int(steepest.argmin())
    chosen = steepest[[flattest, (flattest + 15) % 30]]
    along, beside = np.sqrt(np.clip((0.352 / np.maximum(chosen, 1e-6)) ** 2 - 0.768**2, 0.09, 16))
    at = np.arange(-12, 13)
    u = np.cos(angles[flattest]) * at + np.sin(angles[flattest]) * at[:, None]
    v = -np.sin(angles[flattest]) * at + np.cos(angles[flattest]) * at[:, None]
    kernel: np.ndarray = np.exp(-0.5 * ((u / along) ** 2 + (v / beside) ** 2))
    kernel = (kernel / kernel.sum()).astype(np.float32)
    return kernel


def _guided(guide: np.ndarray, x: np.ndarray, *, radius: int, epsilon: float) -> np.ndarray:
    """The guided filter of one channel by one channel."""

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (2 * radius + 1, 2 * radius + 1))

    mean_g, mean_x = mean(guide), mean(x)
    slope = (mean(guide * x) - mean_g * mean_x) / (mean(guide * guide) - mean_g**2 + epsilon)
    result: np.ndarray = mean(slope) * guide + mean(mean_x - slope * mean_g)
    return result


def _to_bytes(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8)
    return result


def _inside(enhanced: np.ndarray, pixels: np.ndarray, fov: FieldOfView) -> np.ndarray:
    return np.where(fov.mask(*pixels.shape[:2])[..., None], enhanced, pixels)
