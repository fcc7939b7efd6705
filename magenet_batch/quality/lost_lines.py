"""Which lines of the original are gone: a witness beside the detector of vessels.

A detector judges each picture by itself. It takes short lines that noise drew for vessels, so that
an honest output seems to have lost them, and it misses vessels that blur made faint, so that losing
them goes unnoticed. Here the answers of elongated filters are compared place by place, and a line
is gone only where far more is missing than noise explains.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.imaging.masked import masked_gaussian
from magenet_batch.quality.band_pair import median_by_level, small
from magenet_batch.quality.measures import MeasuringCopy

_WINDOW = 12.0  # standard deviation of the window in which contrast was gained alike, pixels
_MOST_GAINED = 10.0  # contrast after over before that a window can have
_WIDER = 3  # pixels within which an answer of the enhanced image counts
_SEEN = 0.02  # answer from which there is a line
_MISSING = 0.5  # share of an answer that is missing where a line is gone
_NOISE_TIMES = 3.0  # standard deviations of the noise that are missing there
_DEVIATION = 1 / 0.6745  # of a normal deviate, over the median of its size
_RIM = 9  # pixels of erosion: a filter at the edge of the field of view sees half of a line
_NEAR = 3  # pixels of a map of vessels within which a line is the same
_LEAST_AREA = 400  # pixels of the field of view below which nothing can be said


class LostLines(NamedTuple):
    """Where lines are gone.

    Attributes:
        gone: (h, w) bool, at the scale of the filters, over the box of the field of view.
        fov: the field of view, in pixels of the original.
    """

    gone: np.ndarray
    fov: FieldOfView

    def longest(self) -> float:
        """The longest connected stretch that is gone, in radii of the field of view."""
        count, _, stats, _ = cv2.connectedComponentsWithStats(self.gone.astype(np.uint8))
        if count < 2:
            return 0.0
        sides = stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].astype(float)
        top, bottom, *_ = self.fov.box(self.fov.height, self.fov.width)
        radius: float = self.fov.radius * self.gone.shape[0] / (bottom - top)
        return float(np.linalg.norm(sides, axis=1).max()) / radius

    def confirmed_by(self, other: LostLines | None) -> LostLines:
        """The stretches of which a part is also gone elsewhere, such as at another sharpness.

        Args:
            other: of the same images; None confirms everything.
        """
        if other is None:
            return self
        size = self.gone.shape[1], self.gone.shape[0]
        there = cv2.resize(other.gone.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        near: np.ndarray = cv2.dilate(there, np.ones((_WIDER, _WIDER), np.uint8)) > 0
        _, stretches = cv2.connectedComponents(self.gone.astype(np.uint8))
        confirmed = np.unique(stretches[near & self.gone])
        return LostLines(np.isin(stretches, confirmed[confirmed > 0]), self.fov)

    def near(self, height: int, width: int) -> np.ndarray:
        """(height, width) bool, what lies near in a map of the whole picture."""
        whole = np.zeros((height, width), np.uint8)
        top, bottom, left, right = self.fov.box(height, width)
        size = right - left, bottom - top
        whole[top:bottom, left:right] = cv2.resize(
            self.gone.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST
        )
        near: np.ndarray = cv2.dilate(whole, np.ones((2 * _NEAR + 1, 2 * _NEAR + 1))) > 0
        return near


def find_lost_lines(before: MeasuringCopy, after: MeasuringCopy) -> LostLines | None:
    """Look for dark lines of an original that its enhanced image has no more.

    Where a veil is lifted, all lines gain contrast. By how much is a regression of the original's
    answers on those of the enhanced image, in a window about each place; in this direction, because
    the enhanced image is the one with less noise, which would dilute the regression. What is left
    of the original's answers is noise, whose strength is the median at places as bright, or a
    line that is gone.

    Args:
        before: the original at the measuring scale.
        after: its enhanced image.

    Returns:
        None where the field of view is too small.
    """
    if before.mask.sum() < _LEAST_AREA:
        return None
    old, new = before.lines.dark, after.lines.dark
    inner = before.lines.inner(_RIM)
    weight = inner.astype(np.float32)
    shared, energy = (masked_gaussian(x * new * weight, weight, _WINDOW)[0] for x in (old, new))
    faded = np.clip(shared / np.maximum(energy, 1e-9), 1 / _MOST_GAINED, 1)
    level = small(before.green, (old.shape[1], old.shape[0]))
    noise = _DEVIATION * np.sqrt(median_by_level((old - new * faded) ** 2, level, inner))
    missing = old - faded * np.maximum(cv2.dilate(new, np.ones((_WIDER, _WIDER))), 0)
    gone = inner & (old > _SEEN) & (missing > _MISSING * old) & (missing > _NOISE_TIMES * noise)
    return LostLines(gone, before.fov)
