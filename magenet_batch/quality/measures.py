"""Quality without a reference: what can be said of a photograph on its own.

Everything is measured inside the field of view, on a copy whose field of view is 512 pixels wide,
so that cameras of different resolution are held to one scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from magenet_batch.imaging.colour import resize_area, to_float, to_lab
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.imaging.masked import masked_gaussian
from magenet_batch.quality.artefacts import block_edges
from magenet_batch.quality.lines import Lines, find_lines

_DIAMETER = 512  # pixels of the field of view at which everything is measured
_EDGE = 0.04  # of the radius: the rim is left out
_HEALTHY = (0.56, 0.29)  # median chromaticity (r, g) of sharp photographs of two cameras
_CAST_RANGE = 0.35  # distance in chromaticity that counts as 1
_DETAIL_HALF = 0.0224  # relative detail at which sharpness is 0.5


@dataclass(frozen=True, eq=False)
class MeasuringCopy:
    """An image at the measuring scale, made once and measured many times.

    Attributes:
        rgb: (h, w, 3) float32 in [0, 1], the lit region with a field of view 512 pixels wide.
        mask: (h, w) bool, where to measure: the field of view without its rim.
        fov: the field of view, in pixels of the original.
        blocks: `artefacts.block_edges` of the original.
    """

    rgb: np.ndarray
    mask: np.ndarray
    fov: FieldOfView
    blocks: float = 0.0

    @classmethod
    def of(cls, pixels: np.ndarray, fov: FieldOfView) -> MeasuringCopy:
        """Reduce an image: (H, W, 3) RGB, uint8 or uint16."""
        return cls(*at_measuring_scale(pixels, fov), fov, block_edges(pixels, fov))

    @cached_property
    def green(self) -> np.ndarray:
        """(h, w) float32."""
        return np.ascontiguousarray(self.rgb[..., 1])

    @cached_property
    def lines(self) -> Lines:
        """Where there are dark and bright lines."""
        return find_lines(self.rgb, self.mask)


def measure_quality(pixels: np.ndarray, fov: FieldOfView) -> dict[str, float | None]:
    """All measures of one image.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        fov: its field of view.

    Returns:
        The keys of `schema.QUALITY_MEASURES`; None where the field of view is too small to tell.
    """
    return measure_scaled(*at_measuring_scale(pixels, fov))


def measure_scaled(rgb: np.ndarray, mask: np.ndarray) -> dict[str, float | None]:
    """All measures of an image that `at_measuring_scale` has reduced.

    Args:
        rgb: (h, w, 3) float32 in [0, 1].
        mask: (h, w) bool, where to measure.
    """
    if mask.sum() < 400:
        return dict.fromkeys(
            ("sharpness", "contrast", "illumination", "colour_cast", "haze", "noise", "brightness",
             "clipped")
        )  # fmt: skip
    lightness = to_lab(rgb)[..., 0] / 100
    return {
        "sharpness": sharpness(rgb[..., 1], mask),
        "contrast": contrast(lightness, mask),
        "illumination": illumination(lightness, mask),
        "colour_cast": colour_cast(rgb, mask),
        "haze": haze(rgb, mask),
        "noise": noise(rgb[..., 1], mask),
        "brightness": float(lightness[mask].mean()),
        "clipped": clipped(rgb, mask),
    }


def at_measuring_scale(pixels: np.ndarray, fov: FieldOfView) -> tuple[np.ndarray, np.ndarray]:
    """The lit region with a field of view 512 pixels wide, and where to measure in it.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        fov: its field of view.

    Returns:
        (h, w, 3) float32 in [0, 1] and (h, w) bool, the field of view without its rim.
    """
    height, width = pixels.shape[:2]
    top, bottom, left, right = fov.box(height, width)
    scale = _DIAMETER / (2 * fov.radius)
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    small = resize_area(pixels[top:bottom, left:right], *size)
    mask = fov.mask(round(height * scale), round(width * scale)).astype(np.uint8)
    y, x = round(top * scale), round(left * scale)
    cut = np.zeros((size[1], size[0]), np.uint8)
    part = mask[y : y + size[1], x : x + size[0]]
    cut[: part.shape[0], : part.shape[1]] = part
    margin = 2 * round(_EDGE * _DIAMETER / 2) + 1
    padded = cv2.copyMakeBorder(cut, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((margin, margin), np.uint8))[1:-1, 1:-1]
    return to_float(small), eroded > 0


def _smooth(x: np.ndarray, sigma: float, mask: np.ndarray) -> np.ndarray:
    """Gaussian blur that takes nothing from outside the mask (normalised convolution)."""
    weight = mask.astype(np.float32)
    return masked_gaussian(x * weight, weight, sigma)[0]


def _slow(x: np.ndarray, sigma: float, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A wide `_smooth` and its mask, at a quarter of the size: a sixteenth of the work."""
    height, width = (max(1, round(side / 4)) for side in x.shape)
    weight = resize_area(mask.astype(np.float32), width, height)
    slow, _ = masked_gaussian(resize_area(x * mask, width, height), weight, sigma / 4)
    return slow, weight > 0.5


def sharpness(green: np.ndarray, mask: np.ndarray) -> float:
    """Detail of the size of vessels and small lesions, relative to the light there.

    d = p90 |G1.5 * g - G4 * g| / (mean(g) + 0.1), a difference of Gaussians (Marr and Hildreth
    1980) of 1.5 and 4 pixels at 512; the result is d / (d + 0.0224), 0..1. The 90th percentile
    looks at what is drawn, not at the plain between; the 0.1 keeps the noise of a picture that is
    nearly black from counting as detail.
    """
    fine = _smooth(green, 1.5, mask) - _smooth(green, 4.0, mask)
    detail = float(np.percentile(np.abs(fine[mask]), 90)) / (float(green[mask].mean()) + 0.1)
    return detail / (detail + _DETAIL_HALF)


def contrast(lightness: np.ndarray, mask: np.ndarray) -> float:
    """Mean local standard deviation of lightness within a Gaussian window of 16 pixels, 0..1."""
    mean, inside = _slow(lightness, 16, mask)
    square, _ = _slow(lightness * lightness, 16, mask)
    return float(np.sqrt(np.maximum(square - mean * mean, 0))[inside].mean())


def illumination(lightness: np.ndarray, mask: np.ndarray) -> float:
    """Evenness of slow light: 1 - (p95 - p5) / (p95 + p5) of lightness blurred by 32 pixels."""
    slow, inside = _slow(lightness, 32, mask)
    low, high = np.percentile(slow[inside], [5, 95])
    return float(1 - (high - low) / max(high + low, 1e-3))


def colour_cast(rgb: np.ndarray, mask: np.ndarray) -> float:
    """Distance of the mean chromaticity from that of sharp photographs, 0..1.

    Chromaticity is (r, g) = (R, G) / (R + G + B); a distance of 0.35 counts as 1.
    """
    mean = np.array(cv2.mean(rgb, mask.astype(np.uint8))[:3])
    r, g = (mean / max(float(mean.sum()), 1e-3))[:2]
    return float(min(1.0, np.hypot(r - _HEALTHY[0], g - _HEALTHY[1]) / _CAST_RANGE))


def haze(rgb: np.ndarray, mask: np.ndarray) -> float:
    """Veil of scattered light, 0..1.

    The dark channel (He, Sun and Tang, TPAMI 2011: the least of the channels, least in a window of
    15 pixels) relative to the brightest channel. The least channel is smoothed by 2 pixels first,
    so that no single pixel of noise or of a compressed edge decides.
    """
    red, green, blue = cv2.split(rgb)  # planes: numpy is slow along the last axis
    least = np.where(mask, _smooth(cv2.min(cv2.min(red, green), blue), 2.0, mask), np.float32(1))
    darkest = cv2.erode(least, np.ones((15, 15), np.uint8))
    brightest = max(float(cv2.max(cv2.max(red, green), blue)[mask].mean()), 0.02)
    return float(min(1.0, darkest[mask].mean() / brightest))


def noise(green: np.ndarray, mask: np.ndarray) -> float:
    """Standard deviation of noise, relative to full scale (Immerkaer, CVIU 64(2), 1996).

    The mean absolute response to the difference of two Laplacians, times sqrt(pi / 2) / 6.
    """
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(green, cv2.CV_32F, kernel))
    return float(response[mask].mean() * np.sqrt(np.pi / 2) / 6)


def clipped(rgb: np.ndarray, mask: np.ndarray) -> float:
    """Share that is burnt out (green above 0.97) or drowned (no channel above 0.04)."""
    red, green, blue = cv2.split(rgb)
    brightest = cv2.max(cv2.max(red, green), blue)
    return float(((green > 0.97) | (brightest < 0.04))[mask].mean())
