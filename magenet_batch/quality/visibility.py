"""Features of the grader: how visible vessels are, where, and in what light.

Everything is measured at the measuring scale, a field of view 512 pixels wide, on structures of
1.5 pixels and more, so that image size and mild compression hardly matter.
"""

from __future__ import annotations

import cv2
import numpy as np

from magenet_batch.imaging.masked import masked_gaussian
from magenet_batch.quality.appearance import APPEARANCE, describe_appearance
from magenet_batch.quality.artefacts import ARTEFACTS, describe_artefacts
from magenet_batch.quality.lines import Lines
from magenet_batch.quality.measures import MeasuringCopy
from magenet_batch.quality.recognition import vessels_seen_on

_CELLS = 8  # the field of view is looked at in 8 x 8 cells
_LEAST = 1e-4  # relative second derivative that counts as nothing
_LINE_CELLS = 6  # lines in 6 x 6
_LINE_MARGIN = 15  # pixels of erosion at half of the measuring scale
_LEAST_INNER = 500  # pixels in which lines can be judged
_SCALES = (2.0, 3.5)  # standard deviations across small and large vessels, pixels

_SEEN: tuple[str, ...] = (
    "ridge_fine", "ridge_coarse", "ridge_sparse", "ridge_dark_cells", "ridge_bright_cells",
    "detail", "detail_plain", "fall_off", "light_low", "light_high", "red", "green", "blue",
    "contrast", "illumination", "colour_cast", "haze", "noise", "brightness", "clipped",
)  # fmt: skip
_LINES: tuple[str, ...] = (
    "lines_dark", "lines_dark_wide", "lines_bright", "lines_over_bright", "lines_over_plain",
    "lines_cells_low", "lines_cells_quarter", "lines_cells_middle", "lines_cells_high",
)  # fmt: skip
FEATURES: tuple[str, ...] = _SEEN + APPEARANCE + ("vessels_seen", *_LINES, *ARTEFACTS)
"""Names of the features, in the order in which the grader's weights have them."""


def describe(copy: MeasuringCopy, measures: dict[str, float | None]) -> np.ndarray | None:
    """The features of one image.

    Args:
        copy: the image at the measuring scale.
        measures: what `measure_scaled` found in it.

    Returns:
        (len(FEATURES),) float64, finite; None where the field of view is too small to tell.
    """
    if any(value is None for value in measures.values()):
        return None
    rgb, mask, green = copy.rgb, copy.mask, copy.green
    weight = mask.astype(np.float32)
    around = _around(green, weight)
    relative = np.where(mask, green / np.maximum(around, 0.03), 1.0).astype(np.float32)
    found = [*_ridges(relative, mask), *_detail(relative, mask), *_light(around, rgb, mask)]
    found += [float(measures[name] or 0.0) for name in _SEEN[len(found) :]]
    found += describe_appearance(rgb, mask, around)
    found += [vessels_seen_on(copy) or 0.0, *_lines(copy.lines)]
    found += [*describe_artefacts(rgb, mask), copy.blocks]
    return np.nan_to_num(np.array(found, np.float64), posinf=10.0, neginf=-10.0)


def _around(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The light about every pixel: a Gaussian of 24 pixels inside the mask, at a quarter's size."""
    size = (max(1, x.shape[1] // 4), max(1, x.shape[0] // 4))
    small, inside = (
        cv2.resize(v, size, interpolation=cv2.INTER_AREA) for v in (x * weight, weight)
    )
    slow, _ = masked_gaussian(small, inside, 6)
    return cv2.resize(slow, (x.shape[1], x.shape[0]), interpolation=cv2.INTER_LINEAR)


def ridge(relative: np.ndarray, sigma: float) -> np.ndarray:
    """Strength of dark lines: the Hessian's larger eigenvalue over the other's size, times s^2.

    After Frangi et al. (MICCAI 1998): across a dark vessel the second derivative is large, along it
    it is near zero.

    Args:
        relative: (h, w) float32, green over the light about it.
        sigma: standard deviation of the Gaussian, pixels.

    Returns:
        (h, w) float32, 0 where there is no dark line.
    """
    smooth = cv2.GaussianBlur(relative, (0, 0), sigma)
    xx = cv2.filter2D(smooth, cv2.CV_32F, np.array([[1, -2, 1]], np.float32))
    yy = cv2.filter2D(smooth, cv2.CV_32F, np.array([[1], [-2], [1]], np.float32))
    xy = cv2.filter2D(
        smooth, cv2.CV_32F, np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 1]], np.float32) / 4
    )
    mean, spread = (xx + yy) / 2, cv2.magnitude((xx - yy) / 2, xy)
    return np.maximum(mean + spread - np.abs(mean - spread), 0) * sigma**2


def _ridges(relative: np.ndarray, mask: np.ndarray) -> list[float]:
    """Vessels: small and large ones, how they stand out, and the worst and best cells."""
    fine, coarse = (ridge(relative, sigma) for sigma in _SCALES)
    p50, p95 = np.percentile(fine[mask], [50, 95])
    cells = _per_cell(cv2.max(fine, coarse), mask)
    low, high = np.percentile(cells, [25, 75]) if cells.size else (0.0, 0.0)
    return [
        _log(p95), _log(float(np.percentile(coarse[mask], 95))), _log(p95) - _log(p50),
        _log(low), _log(high),
    ]  # fmt: skip


def _per_cell(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The 90th percentile in every cell that is mostly inside."""
    height, width = (side // _CELLS for side in mask.shape)
    found = []
    for row in range(_CELLS):
        for column in range(_CELLS):
            at = np.s_[row * height : (row + 1) * height, column * width : (column + 1) * width]
            inside = mask[at]
            if inside.sum() > 0.6 * height * width > 0:
                found.append(float(np.percentile(values[at][inside], 90)))
    return np.array(found)


def _detail(relative: np.ndarray, mask: np.ndarray) -> list[float]:
    """Contrast of what is drawn and of what lies between, and how fast it falls off to the fine."""
    one, two, four = (cv2.GaussianBlur(relative, (0, 0), s) for s in (1.5, 3.0, 6.0))
    fine, coarse = np.abs(one - two)[mask], np.abs(two - four)[mask]
    p50, p90 = np.percentile(fine, [50, 90])
    return [_log(p90), _log(p50), _log(p90) - _log(float(np.percentile(coarse, 90)))]


def _light(around: np.ndarray, rgb: np.ndarray, mask: np.ndarray) -> list[float]:
    """The darkest and brightest regions of the green channel, and the mean of each channel."""
    low, high = np.percentile(around[mask], [10, 90])
    return [float(low), float(high), *cv2.mean(rgb, mask.astype(np.uint8))[:3]]


def _log(value: float) -> float:
    return float(np.log10(max(float(value), _LEAST)))


def _lines(lines: Lines) -> list[float]:
    """Lines that answer along their length: how dark, against bright ones and against the plain."""
    inner = lines.inner(_LINE_MARGIN)
    if inner.sum() < _LEAST_INNER:
        return [0.0] * len(_LINES)
    plain, wide, dark = (_log(v) for v in np.percentile(lines.dark[inner], [50, 90, 98]))
    bright = _log(float(np.percentile(lines.bright[inner], 98)))
    height, width = inner.shape
    cells = []
    for row in range(_LINE_CELLS):
        for column in range(_LINE_CELLS):
            at = np.s_[
                row * height // _LINE_CELLS : (row + 1) * height // _LINE_CELLS,
                column * width // _LINE_CELLS : (column + 1) * width // _LINE_CELLS,
            ]
            inside = inner[at]
            if inside.size and inside.mean() > 0.5:
                cells.append(_log(float(np.percentile(lines.dark[at][inside], 95))))
    found = [dark, wide, bright, dark - bright, dark - plain]
    return found + [float(v) for v in np.percentile(cells or [_log(0)], [10, 25, 50, 75])]
