"""Has anything faded, or been painted? Contrasts of an enhanced image against its original.

Contrast is a difference of logarithms of green: evening out the light adds a slow field to it and
changes nothing at a smaller scale, lifting a veil multiplies it. Everything is measured on a copy
whose field of view is 512 pixels wide.
"""

from __future__ import annotations

import cv2
import numpy as np

from magenet_batch.imaging.colour import resize_area
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.quality.band_pair import Band, BandPair, around, small, smooth
from magenet_batch.quality.macula import find_macula_on, macula_depth_on
from magenet_batch.quality.measures import MeasuringCopy

MEASURES = ("vessel_contrast", "area_contrast", "macula_contrast", "new_structure")
_DARKEST = 0.02  # added to green before the logarithm: less is not told from black
_LEVEL_SIGMA = 6.0  # of the mean that says how bright a place is, pixels
_MOST_LENT = 0.1  # of the darkness of lines: what noise can have lent them
_NOISE_TIMES = 40  # as much energy as noise has a place at which something was
_LEAST_LEFT = 0.75  # of the energy of a place that is never taken for noise
_PAINTED = (3.0, 6.0)  # bands in which structure is looked for that was not there
_EXPLAINED = 0.25  # squared correlation from which structure comes from the original
_LINES = 0.06  # share of the field of view that may be lines: the clearest of its vessels
_SURE = 0.2  # probability of vessel below which nothing is a line
_LONG, _LEAST_LINES = 25, 200  # pixels: length of a line, and area of all of them
_FINE, _COARSE = 1.0, 4.0  # standard deviations of the band of vessels, pixels
_LEAST_CONTRAST = 0.01  # of lines, below which there is nothing to compare
_OF_MEDIAN = 1 / 0.6745**2  # variance of a normal deviate over the median of its square
_LEAST_DEPTH = 0.08  # of a macula, below which there is nothing to compare


BANDS = (
    Band(1.5, 1, 0.06, 0.0),
    Band(3.0, 1, 0.05, 0.0),
    Band(6.0, 2, 0.06, 0.25),
    Band(12.0, 4, 0.10, 0.4),
)
"""From the smallest haemorrhage to areas of a quarter of the field, seen by their edges."""


def measure_fading(
    before: np.ndarray,
    after: np.ndarray,
    fov: FieldOfView,
    *,
    vessels: np.ndarray | None,
) -> dict[str, float | None]:
    """Hold the contrasts of an enhanced image against those of its original.

    Args:
        before: (H, W, 3) RGB, uint8 or uint16.
        after: the same shape and type.
        fov: the field of view of both.
        vessels: (h, w) float32 probability of vessel in the original, whole picture; None where
            it is not known.

    Returns:
        `vessel_contrast`, `area_contrast` and `macula_contrast`, each after over before, and
        `new_structure`, the contrast of what cannot come from the original; None where there is
        nothing to compare.
    """
    copies = (MeasuringCopy.of(x, fov) for x in (before, after))
    return compare_copies(*copies, vessels=vessels)


def compare_copies(
    before: MeasuringCopy, after: MeasuringCopy, *, vessels: np.ndarray | None
) -> dict[str, float | None]:
    """The same of images that are at the measuring scale already."""
    old, new = (np.log(copy.green + np.float32(_DARKEST)) for copy in (before, after))
    mask = before.mask
    if mask.sum() < 400:
        return dict.fromkeys(MEASURES)
    weight = mask.astype(np.float32)
    level = smooth(old * weight, weight, _LEVEL_SIGMA)
    bands = [BandPair.of(old, new, mask, level, band) for band in BANDS]
    found: dict[str, float | None] = {
        "vessel_contrast": None,
        "area_contrast": min((g for g in area_gains(bands) if g is not None), default=None),
        "macula_contrast": _macula(before, after),
        "new_structure": new_structure(bands),
    }
    if vessels is not None:
        found["vessel_contrast"] = line_gain(old, new, mask, _lines(vessels, mask, before.fov))
    # A contrast that turned into its opposite is gone.
    return {name: None if value is None else max(0.0, value) for name, value in found.items()}


def area_gains(bands: list[BandPair]) -> list[float | None]:
    """The least gain of contrast at each scale, over all places where something was.

    In a window about each place the band of the enhanced image is regressed on that of the
    original: 1 where it was kept, 0.6 where a haemorrhage lost 40 percent. What of the original's
    energy in the window the enhanced band does not explain, up to a quarter, passes for noise or
    blocks of compression that were taken away: the regression is divided by max(r^2, 0.75), with
    r the correlation of both. Noise also moves a regression by chance, by about the root of its
    share of the energy; as the place that lost most is looked for among many, that root is added.
    Only places with 40 times as much energy as noise are looked at.

    Returns:
        One per band; None where nothing was.
    """
    found: list[float | None] = []
    finer: np.ndarray | None = None
    for one in bands:
        sigma = one.band.sigma / one.band.step
        noise = one.noise()
        there = one.valid & (one.old > one.band.least**2 + _NOISE_TIMES * noise)
        if finer is not None and one.band.sharp:
            edges = around(small(finer, one.valid.shape[::-1]), sigma)
            there &= edges > one.band.sharp * one.old
        finer = one.before * one.before
        if not there.any():
            found.append(None)
            continue
        old, new, shared, noise = (x[there] for x in (one.old, one.new, one.shared, noise))
        explained = shared * np.abs(shared) / np.maximum(old * new, 1e-12)
        gain = shared / (old * np.clip(explained, _LEAST_LEFT, 1))
        found.append(float((gain + np.sqrt(noise / old)).min()))
    return found


def new_structure(bands: list[BandPair]) -> float | None:
    """The strongest contrast of which less than a quarter can be what was there, amplified.

    In the bands of vessels and spots: the root mean square contrast of windows in which the
    squared correlation of both images is below 0.25. Lifting a veil and sharpening keep the
    correlation; what is painted on a surface has none.

    Returns:
        0 where everything comes from the original; None without bands.
    """
    found = [0.0]
    for one in bands:
        if one.band.sigma in _PAINTED:
            explained = one.shared**2 > _EXPLAINED * one.old * one.new
            painted = one.valid & ~explained
            found.append(float(one.new[painted].max(initial=0.0)) ** 0.5)
    return max(found)


def line_gain(
    old: np.ndarray, new: np.ndarray, mask: np.ndarray, lines: np.ndarray
) -> float | None:
    """Mean darkness of lines in the band of vessels, after over before.

    A mean with its sign: grain cancels out in it. But a map of a noisy original finds lines more
    readily where noise has darkened them, so that they seem to fade when the noise goes. By the
    theory of regression dilution (Spearman 1904) the ratio is too small by the share that noise
    has in what is compared; it is multiplied by 1 + q, with q = energy of the noise / darkness^2,
    at most 0.1. The energy of the noise is the median of what changed in the band.

    Args:
        old: (h, w) float32 logarithm of green at the measuring scale.
        new: the same of the enhanced image.
        mask: (h, w) bool, where to measure.
        lines: (h, w) bool, where there were vessels.

    Returns:
        None without lines that can be seen.
    """
    if not lines.any():
        return None
    weight = mask.astype(np.float32)
    dark_old, dark_new = (
        smooth(x, weight, _COARSE) - smooth(x, weight, _FINE) for x in (old * weight, new * weight)
    )
    before, after = (float(dark[lines].mean()) for dark in (dark_old, dark_new))
    if before <= _LEAST_CONTRAST:
        return None
    noise = float(np.median((dark_new - dark_old)[mask] ** 2)) * _OF_MEDIAN
    return after / before * (1 + min(noise / before**2, _MOST_LENT))


def long_lines(found: np.ndarray) -> np.ndarray:
    """The connected parts that are long enough to be lines: grain is none.

    Args:
        found: (h, w) bool, at the measuring scale.

    Returns:
        (h, w) bool, the parts of at least 25 pixels' length; nothing where there are fewer than
        200 pixels of them.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(found.astype(np.uint8))
    sides = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    long = (sides >= _LONG) & (np.arange(count) > 0)
    lines: np.ndarray = long[labels]
    return lines if lines.sum() >= _LEAST_LINES else np.zeros_like(lines)


def _lines(vessels: np.ndarray, mask: np.ndarray, fov: FieldOfView) -> np.ndarray:
    """The clearest and longest vessels of a map of the whole picture, at the measuring scale."""
    top, bottom, left, right = fov.box(*vessels.shape)
    likely = resize_area(vessels[top:bottom, left:right], mask.shape[1], mask.shape[0])
    least = max(_SURE, float(np.quantile(likely[mask], 1 - _LINES)))
    return long_lines(mask & (likely >= least))


def _macula(before: MeasuringCopy, after: MeasuringCopy) -> float | None:
    place = find_macula_on(before)
    if place is None:
        return None
    old, new = (macula_depth_on(copy, place) for copy in (before, after))
    return new / old if old is not None and new is not None and old > _LEAST_DEPTH else None
