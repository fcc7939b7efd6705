"""What a grader looks at beside vessels: light, colour, blobs and grain, region by region.

Taken at the measuring scale (a field of view 512 pixels wide), as everything in this package.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from magenet_batch.imaging.colour import to_lab
from magenet_batch.imaging.masked import masked_gaussian

_CELLS = 6  # detail is looked at in 6 x 6 cells
_LEAST = 1e-4

APPEARANCE: tuple[str, ...] = (
    "red_low", "red_high", "red_range", "green_low", "green_high", "green_range",
    "blue_low", "blue_high", "blue_range", "light_tilt", "light_bend", "light_rest",
    "blob_dark", "blob_bright", "blob_spread", "patch_dark", "patch_bright", "patch_spread",
    "a_detail", "a_low", "a_middle", "a_high", "b_detail", "b_low", "b_middle", "b_high",
    "saturation_low", "saturation_middle", "saturation_high",
    "grain_middle", "grain_high", "fine_middle", "fine_high", "mid_middle", "mid_high",
    "red_grain_middle", "red_grain_high", "l_1", "l_25", "l_50", "l_75", "l_99",
    "cells_least", "cells_low", "cells_middle", "cells_high", "cells_most",
)  # fmt: skip
"""Names of what `describe_appearance` gives, in its order."""


def describe_appearance(rgb: np.ndarray, mask: np.ndarray, around: np.ndarray) -> list[float]:
    """Light, colour, blobs and grain of one image.

    Args:
        rgb: (h, w, 3) float32 in [0, 1], from `measures.at_measuring_scale`.
        mask: (h, w) bool, where to look.
        around: (h, w) float32, the green light about every pixel.

    Returns:
        `len(APPEARANCE)` numbers.
    """
    weight = mask.astype(np.float32)
    lab = to_lab(rgb)
    lightness = np.ascontiguousarray(lab[..., 0]) / 100
    return [
        *_channels(rgb, weight), *_light_field(lightness, weight), *_blobs(lightness, weight),
        *_chroma(lab, mask), *_saturation(rgb, mask), *_grain(rgb, mask),
        *map(float, np.percentile(lightness[mask], [1, 25, 50, 75, 99])),
        *_cells_of_detail(rgb[..., 1], mask, around),
    ]  # fmt: skip


def _slow(x: np.ndarray, weight: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """A Gaussian inside the mask at a quarter of the size, and the mask there."""
    size = (max(1, x.shape[1] // 4), max(1, x.shape[0] // 4))
    sums, inside = (cv2.resize(v, size, interpolation=cv2.INTER_AREA) for v in (x * weight, weight))
    return masked_gaussian(sums, inside, sigma / 4)[0], inside > 0.5


def _channels(rgb: np.ndarray, weight: np.ndarray) -> list[float]:
    """Of each channel's slow light: the darkest, the brightest, and their ratio."""
    found = []
    for channel in cv2.split(rgb):
        slow, inside = _slow(channel, weight, 24)
        low, high = np.percentile(slow[inside], [5, 95])
        found += [float(low), float(high), float(np.log((high + 0.02) / (low + 0.02)))]
    return found


def _light_field(lightness: np.ndarray, weight: np.ndarray) -> list[float]:
    """Slow light as a plane and a bowl: how tilted, how bent, and what neither explains."""
    slow, inside = _slow(lightness, weight, 24)
    y, x = (axis - axis.mean() for axis in np.nonzero(inside))
    size = max(float(x.std()), float(y.std()), 1.0)
    values = slow[inside]
    values = values / (values.mean() + 0.02)
    terms = np.stack([x / size, y / size, (x * x + y * y) / size**2, np.ones_like(x)], 1)
    (tilt_x, tilt_y, bend, level), *_ = np.linalg.lstsq(terms, values, rcond=None)
    rest = values - terms @ np.array([tilt_x, tilt_y, bend, level])
    return [float(np.hypot(tilt_x, tilt_y)), float(bend), float(rest.std())]


def _blobs(lightness: np.ndarray, weight: np.ndarray) -> list[float]:
    """Spots and patches: the darkest, the brightest and the spread of differences of Gaussians."""
    found = []
    for sigma in (5.0, 9.0):
        near, inside = _slow(lightness, weight, sigma)
        far, _ = _slow(lightness, weight, 2 * sigma)
        relative = ((near - far) / (far + 0.05))[inside]
        dark, low, high, bright = np.percentile(relative, [0.5, 10, 90, 99.5])
        found += [float(dark), float(bright), float(high - low)]
    return found


def _chroma(lab: np.ndarray, mask: np.ndarray) -> list[float]:
    """Of a* and b*: contrast of detail, and the colours there are."""
    found = []
    for channel in (1, 2):
        near = cv2.GaussianBlur(np.ascontiguousarray(lab[..., channel]), (0, 0), 2.0)
        far = cv2.GaussianBlur(np.ascontiguousarray(lab[..., channel]), (0, 0), 12.0)
        detail = float(np.percentile(np.abs(near - far)[mask], 90))
        found += [float(np.log10(detail + 0.02)), *_percentiles(near[mask], 10, 50, 90)]
    return found


def _saturation(rgb: np.ndarray, mask: np.ndarray) -> list[float]:
    red, green, blue = cv2.split(rgb)
    most = cv2.max(cv2.max(red, green), blue)
    least = cv2.min(cv2.min(red, green), blue)
    return _percentiles(((most - least) / np.maximum(most, 0.02))[mask], 10, 50, 90)


def _grain(rgb: np.ndarray, mask: np.ndarray) -> list[float]:
    """Differences between neighbouring scales, between what is drawn (p50) and in it (p95)."""
    green, red = np.ascontiguousarray(rgb[..., 1]), np.ascontiguousarray(rgb[..., 0])
    scales = [green, *(cv2.GaussianBlur(green, (0, 0), sigma) for sigma in (1.0, 2.0, 4.0))]
    pairs = [*pairwise(scales), (red, cv2.GaussianBlur(red, (0, 0), 1.5))]
    found = []
    for fine, coarse in pairs:
        middle, high = np.percentile(np.abs(fine - coarse)[mask], [50, 95])
        found += [float(np.log10(middle + _LEAST)), float(np.log10(high + _LEAST))]
    return found


def _cells_of_detail(green: np.ndarray, mask: np.ndarray, around: np.ndarray) -> list[float]:
    """Detail relative to the light there, from the blindest cell to the clearest."""
    relative = np.where(mask, green / np.maximum(around, 0.03), 1.0).astype(np.float32)
    detail = np.abs(
        cv2.GaussianBlur(relative, (0, 0), 1.5) - cv2.GaussianBlur(relative, (0, 0), 4.0)
    )
    height, width = mask.shape
    found = []
    for row in range(_CELLS):
        for column in range(_CELLS):
            at = np.s_[
                row * height // _CELLS : (row + 1) * height // _CELLS,
                column * width // _CELLS : (column + 1) * width // _CELLS,
            ]
            inside = mask[at]
            if inside.size and inside.mean() > 0.5:
                found.append(np.log10(np.percentile(detail[at][inside], 85) + _LEAST))
    return _percentiles(np.array(found or [np.log10(_LEAST)]), 0, 15, 50, 85, 100)


def _percentiles(values: np.ndarray, *which: float) -> list[float]:
    return [float(v) for v in np.percentile(values, which)]
