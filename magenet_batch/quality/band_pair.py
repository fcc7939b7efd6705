"""One band of an image and of its enhanced version, place by place."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from magenet_batch.imaging.masked import masked_gaussian

_WINDOW = 1.5  # standard deviation of the window about a place, relative to that of its band
_LEVELS = 8  # parts of like brightness, with a noise each
_MOST_NOISE = 2.0  # of a part, relative to that of all places


class Band(NamedTuple):
    """One scale at which areas are looked at.

    Attributes:
        sigma: standard deviation of the inner Gaussian, pixels; the outer one is twice as wide.
        step: whole factor by which the copy is reduced further for it.
        least: root mean square contrast in a window from which something is there.
        sharp: share of its energy that the next finer band must have there: a lesion has an edge,
            uneven light and a veil have none.
    """

    sigma: float
    step: int
    least: float
    sharp: float


class BandPair(NamedTuple):
    """One band of both images, and its energies in a window about each place.

    Attributes:
        band: which.
        valid: (h, w) bool, where it can be trusted.
        level: (h, w) float32, mean logarithm of green about each place of the original.
        before: (h, w) float32, the band of the original.
        old: energy of the original's band.
        new: energy of the enhanced image's band.
        shared: mean product of both.
    """

    band: Band
    valid: np.ndarray
    level: np.ndarray
    before: np.ndarray
    old: np.ndarray
    new: np.ndarray
    shared: np.ndarray

    @classmethod
    def of(
        cls, old: np.ndarray, new: np.ndarray, mask: np.ndarray, level: np.ndarray, band: Band
    ) -> BandPair:
        """Take a band of two logarithms of green at the measuring scale."""
        weight = mask.astype(np.float32)
        size = (max(1, mask.shape[1] // band.step), max(1, mask.shape[0] // band.step))
        inside, a, b = (small(x, size) for x in (weight, old * weight, new * weight))
        sigma = band.sigma / band.step
        valid = cv2.erode((inside > 0.99).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        before, after = (_band(x, inside, sigma) * valid for x in (a, b))
        energies = (around(x, sigma) for x in (before * before, after * after, before * after))
        return cls(band, valid, small(level, size), before, *energies)

    def noise(self) -> np.ndarray:
        """Energy of the noise that was taken away: (h, w) float32, of each place.

        The median of what changed, among places as bright as this one: dark places of a photograph
        are noisier in the logarithm. Once to twice the median of all places: what else changed in
        a large dark area is no noise.
        """
        changed = self.old + self.new - 2 * self.shared
        if not self.valid.any():
            return np.zeros_like(self.old)
        whole = max(0.0, float(np.median(changed[self.valid])))
        local = median_by_level(changed, self.level, self.valid)
        energy: np.ndarray = np.clip(local, whole, _MOST_NOISE * whole).astype(np.float32)
        return energy


def median_by_level(x: np.ndarray, level: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The median of values at places as bright as each place: the noise of its brightness.

    Args:
        x: (h, w) values.
        level: (h, w) brightness of each place.
        valid: (h, w) bool, the places that count.

    Returns:
        (h, w), from one eighth of the brightnesses to the next without steps; 0 without places.
    """
    if not valid.any():
        return np.zeros_like(x)
    values, levels = x[valid], level[valid]
    bounds = np.quantile(levels, np.linspace(0, 1, _LEVELS + 1))
    part = np.searchsorted(bounds[1:-1], levels)
    medians = [
        float(np.median(values[part == i])) if (part == i).any() else 0.0 for i in range(_LEVELS)
    ]
    local: np.ndarray = np.interp(level, (bounds[1:] + bounds[:-1]) / 2, medians)
    return local


def _band(weighted: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    band: np.ndarray = smooth(weighted, weight, sigma) - smooth(weighted, weight, 2 * sigma)
    return band


def smooth(weighted: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean of values times `weight` inside a mask, all (h, w) float32."""
    return masked_gaussian(weighted, weight, sigma)[0]


def around(x: np.ndarray, sigma: float) -> np.ndarray:
    """Mean of (h, w) values in the window about each place of a band of this `sigma`."""
    return cv2.GaussianBlur(x, (0, 0), _WINDOW * sigma)


def small(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) values reduced to a (width, height)."""
    return x if x.shape[::-1] == size else cv2.resize(x, size, interpolation=cv2.INTER_AREA)
