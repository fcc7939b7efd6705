"""How clearly vessels and lines stand out from what is about them, and from the grain.

All contrasts are relative to the light about them, so that evening out the light changes nothing,
and lifting a veil, which adds light to everything, does. Lengths are those of a field of view 512
pixels wide, whatever the size of the picture.
"""

from __future__ import annotations

import cv2
import numpy as np

from magenet_batch.evaluation.segmenter import Segmenter
from magenet_batch.imaging.colour import resize_area, to_float
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.imaging.masked import masked_gaussian
from magenet_batch.quality.fading import long_lines
from magenet_batch.quality.measures import at_measuring_scale

_DIAMETER = 512  # pixels of the field of view in which the lengths below are given
_RIM = 0.05  # radii at the edge of the field of view that are left out
_GAP, _RING = 2.0, 6.0  # pixels from a vessel at which its surroundings begin and end
_AROUND = 8.0  # standard deviation of the window in which the surroundings are averaged, pixels
_GRAIN = 1.0  # standard deviation of the Gaussian below which detail counts as grain, pixels
_FINE, _COARSE = 1.0, 4.0  # standard deviations of the band of vessels, pixels
_LIGHT = 16.0  # standard deviation of the window of the local light, pixels
_LINES = 0.06  # share of the field of view that may be lines: the clearest of its vessels
_LIT = 16 / 255  # local light below which nothing is seen in eight bits
_DARKEST = 1 / 255  # light below which nothing is divided
_TO_SIGMA = 1.4826  # median absolute deviation of a normal distribution to its standard deviation


def vessel_contrast(pixels: np.ndarray, vessels: np.ndarray, fov: FieldOfView) -> float | None:
    """Mean of (surroundings - vessel) / surroundings in green over drawn vessels.

    The surroundings of a vessel pixel are the mean of the ring 2 to 6 pixels from any vessel, in a
    Gaussian window of 8 pixels.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        vessels: (H, W) bool, drawn vessels.
        fov: the field of view.

    Returns:
        0..1 for dark vessels; None without vessels or ring.
    """
    inside, ring, scale = _regions(vessels, fov)
    if not (vessels & inside).any() or not ring.any():
        return None
    green = np.ascontiguousarray(to_float(pixels)[..., 1])
    around, near = _mean_in(green, ring, _AROUND * scale)
    where = vessels & inside & near
    if not where.any():
        return None
    return float((1 - green[where] / np.maximum(around[where], _DARKEST)).mean())


def background_grain(pixels: np.ndarray, vessels: np.ndarray, fov: FieldOfView) -> float | None:
    """Standard deviation of the finest detail of green away from vessels, relative to the light.

    What a Gaussian of one pixel removes, divided by the local light; its robust deviation (1.4826
    times the median of absolute values) more than 6 pixels from any drawn vessel.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        vessels: (H, W) bool, drawn vessels.
        fov: the field of view.

    Returns:
        None where there is no background.
    """
    inside, _, scale = _regions(vessels, fov)
    plain = inside & ~_grown(vessels, _RING * scale)
    if not plain.any():
        return None
    green = np.ascontiguousarray(to_float(pixels)[..., 1])
    fine = green - cv2.GaussianBlur(green, (0, 0), _GRAIN * scale)
    around, _ = _mean_in(green, inside, _LIGHT * scale)
    relative = fine[plain] / np.maximum(around[plain], _DARKEST)
    return float(_TO_SIGMA * np.median(np.abs(relative)))


def lines_of(pixels: np.ndarray, fov: FieldOfView, segmenter: Segmenter) -> np.ndarray:
    """Find visible structures that look like lines.

    Of the 6 % of the lit field of view that the segmenter considers most likely to be vessels, the
    connected parts that are at least 25 pixels long. Grain and dark regions contain no lines.

    Args:
        pixels: (H, W, 3) RGB uint8, the original.
        fov: its field of view.
        segmenter: that knows vessels.

    Returns:
        (h, w) bool at the measuring scale, as `line_contrast` wants it; nothing where there are
        fewer than 200 pixels of lines.
    """
    height, width = pixels.shape[:2]
    top, bottom, left, right = fov.box(height, width)
    likely = segmenter.segment(pixels, fov)[top:bottom, left:right]
    rgb, mask = at_measuring_scale(pixels, fov)
    likely = resize_area(likely, mask.shape[1], mask.shape[0])
    light, _ = _mean_in(np.ascontiguousarray(rgb[..., 1]), mask, _LIGHT)
    lit = mask & (light > _LIT)
    if not lit.any():
        return lit
    return long_lines(lit & (likely >= np.quantile(likely[lit], 1 - _LINES)))


def line_contrast(pixels: np.ndarray, lines: np.ndarray, fov: FieldOfView) -> float | None:
    """Mean darkness of lines within the band of vessels, relative to the local light.

    (G4 - G1) * g / (G16 * g) of green g at the measuring scale. It is a mean with its sign: grain
    cancels out in it, where the deviation of a band counts grain as contrast.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        lines: from `lines_of` of the original.
        fov: the field of view.

    Returns:
        About 0.02 to 0.1 in clear photographs; None without lines.
    """
    if not lines.any():
        return None
    band, _ = _band(pixels, fov)
    return float(-band[lines].mean())


def band_deviation(pixels: np.ndarray, fov: FieldOfView) -> float | None:
    """Robust deviation of the band of vessels over the field of view, relative to the local light.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        fov: the field of view.

    Returns:
        None where the field of view is too small to tell.
    """
    band, mask = _band(pixels, fov)
    if not mask.any():
        return None
    values = band[mask]
    return float(_TO_SIGMA * np.median(np.abs(values - np.median(values))))


def _band(pixels: np.ndarray, fov: FieldOfView) -> tuple[np.ndarray, np.ndarray]:
    """The band of vessels in green over the local light, and where it can be trusted."""
    rgb, mask = at_measuring_scale(pixels, fov)
    green = np.ascontiguousarray(rgb[..., 1])
    fine, coarse, light = (_mean_in(green, mask, s)[0] for s in (_FINE, _COARSE, _LIGHT))
    return (fine - coarse) / np.maximum(light, _DARKEST), mask


def _regions(vessels: np.ndarray, fov: FieldOfView) -> tuple[np.ndarray, np.ndarray, float]:
    """The field of view without its rim, the ring about vessels in it, and pixels per unit."""
    height, width = vessels.shape
    scale = 2 * fov.radius * width / fov.width / _DIAMETER
    inside = fov.without_rim(_RIM).mask(height, width)
    ring = _grown(vessels, _RING * scale) & ~_grown(vessels, _GAP * scale) & inside
    return inside, ring, scale


def _mean_in(x: np.ndarray, where: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian mean of the values in `where`, and where there are enough of them to take one."""
    weight = where.astype(np.float32)
    mean, total = masked_gaussian(x * weight, weight, sigma, least=1e-6)
    return mean, total > 0.02


def _grown(shape: np.ndarray, by: float) -> np.ndarray:
    radius = max(1, round(by))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(shape.astype(np.uint8), disc) > 0
