"""Text outside the field of view: names and dates that a camera burned into the dark border.

Letters are small, sharp and bright, and stand in a row. What is as bright but belongs to something
larger, such as a notch or the glow of the rim, hangs together with the field of view. Nothing is
read: whether a text names a patient is for a person to judge.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from magenet_batch.imaging.colour import resize_area
from magenet_batch.imaging.fov import FieldOfView, brightest

_LONGEST = 2048  # longest side that is looked at, pixels
_MARGIN = 0.025  # of the radius around the field of view that belongs to its rim
_LEAST_BORDER = 0.005  # share of the picture that a border has at least
_STROKE = 0.03  # of the shorter side: wider structures are no strokes of letters
_BRIGHT = 18  # levels of 255 by which a letter stands above the border; its peak, twice that
_SIGMAS = 7.0  # the same as a multiple of the border's noise
_HALF = 0.5  # of the peak, where letters that touch are apart
_LOWEST, _HIGHEST = 6, 0.1  # height of a letter: pixels, and of the shorter side
_WIDEST = 2.2  # width of one letter, relative to its height
_LETTERS = 4  # letters in a row that make a text
_SOLID = 0.82  # share of its convex hull that a dot or a bar fills; letters fill less
_ALIKE = (0.6, 1.7)  # heights of letters of one row
_LEVEL = 0.4  # distance of their centres across the row, in heights
_GAP = 1.8  # distance between neighbours along the row, in heights
_MOST = 2000  # marks beyond which a border is noise, not text


def letters_outside(pixels: np.ndarray, fov: FieldOfView) -> int | None:
    """Count marks like letters that stand in rows outside the field of view.

    Rows are looked for along and across the picture.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        fov: the field of view, of this picture at any size.

    Returns:
        The number of letters in rows of at least four; 0 without text; None if the field of view
        leaves no border.
    """
    light = _light(pixels)
    height, width = light.shape
    inside = _with_rim(fov).mask(height, width)
    outside = ~inside
    if outside.mean() < _LEAST_BORDER:
        return None
    raised = _raised(light)
    level, noise = _border(raised[outside])
    bright = max(_BRIGHT, _SIGMAS * noise)
    field = fov.mask(height, width)
    letters, peak = _count(raised, level + bright, field, inside, least_peak=level + 2 * bright)
    if not letters and peak > 0:
        # letters of bright small text run together at its foot, not at half of its height
        half = level + max(bright, _HALF * (peak - level))
        letters, _ = _count(raised, half, field, inside, least_peak=level + 2 * bright)
    return letters


def _count(
    raised: np.ndarray, bright: float, field: np.ndarray, inside: np.ndarray, *, least_peak: float
) -> tuple[int, float]:
    """Letters in rows above a threshold, and the typical peak of all marks of their size."""
    lit = (raised > bright).astype(np.uint8)
    lit[field] = 1
    # what hangs together with the field of view is its rim, its glow, or a notch
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(lit, connectivity=8)
    fitting = _letters(boxes, np.unique(labels[inside]), raised.shape)
    if not 0 < len(fitting) <= _MOST:
        return 0, 0.0
    peaks = {label: _peak(label, labels, boxes, raised) for label in fitting}
    sharp = [label for label, peak in peaks.items() if peak > least_peak]
    if not sharp:
        return 0, 0.0
    marks = [_Mark(label, labels, boxes) for label in sharp]
    found = _in_rows(marks, along=0) | _in_rows(marks, along=1)
    return sum(marks[i].letters for i in found), float(np.median([peaks[m] for m in sharp]))


class _Mark:
    """One connected mark: its box, how much of its hull it fills, how many letters it may be."""

    def __init__(self, label: int, labels: np.ndarray, boxes: np.ndarray) -> None:
        x, y, width, height, _ = (int(v) for v in boxes[label])
        shape = labels[y : y + height, x : x + width] == label
        self.centre = (x + width / 2, y + height / 2)
        self.size = (width, height)
        self.fill = _fill(shape)
        self.letters = self._joined(shape)

    def _joined(self, shape: np.ndarray) -> int:
        """Letters that run into each other: as many as fit, if there are as many strokes."""
        height, width = sorted(self.size)
        if width <= _WIDEST * height:
            return 1
        along = shape if self.size[0] > self.size[1] else shape.T
        middle = along[along.shape[0] // 4 : max(1, 3 * along.shape[0] // 4) + 1]
        strokes = (np.diff(middle.astype(np.int8), axis=1, prepend=0) == 1).sum(1)
        return max(1, min(round(width / (0.8 * height)), int(np.median(strokes)) // 2))


def _fill(shape: np.ndarray) -> float:
    """Share of its convex hull that a mark fills: about 1 for dots, bars and lines."""
    hull = cv2.convexHull(np.argwhere(shape).astype(np.int32))
    # whole pixels, not their centres (Pick's theorem)
    area = cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1
    return float(shape.sum() / area)


def _light(pixels: np.ndarray) -> np.ndarray:
    """The brightest channel, uint8, at most `_LONGEST` long."""
    height, width = pixels.shape[:2]
    light = brightest(pixels)
    if light.dtype == np.uint16:
        light = (light >> 8).astype(np.uint8)
    scale = _LONGEST / max(height, width)
    if scale < 1:
        light = resize_area(light, max(1, round(width * scale)), max(1, round(height * scale)))
    return np.ascontiguousarray(light)


def _with_rim(fov: FieldOfView) -> FieldOfView:
    rim = _MARGIN * fov.radius
    return replace(
        fov, radius=fov.radius + rim, left=fov.left - rim, top=fov.top - rim,
        right=fov.right + rim, bottom=fov.bottom + rim,
    )  # fmt: skip


def _raised(light: np.ndarray) -> np.ndarray:
    """How far thin structures stand above what surrounds them (white top-hat)."""
    side = max(9, round(_STROKE * min(light.shape))) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    return cv2.morphologyEx(light, cv2.MORPH_TOPHAT, kernel, borderType=cv2.BORDER_REPLICATE)


def _border(raised: np.ndarray) -> tuple[float, float]:
    """Level and noise of the border: median, and a standard deviation from its quartiles."""
    low, level, high = np.percentile(raised, [25, 50, 75])
    return float(level), float(high - low) / 1.349


def _letters(boxes: np.ndarray, of_field: np.ndarray, shape: tuple[int, int]) -> list[int]:
    """Labels of the marks that have the size of letters, one or several joined, and are whole."""
    x, y, width, height, area = boxes.T
    short = np.minimum(width, height)
    fits = (np.maximum(width, height) >= _LOWEST) & (short <= _HIGHEST * min(shape))
    fits &= area >= 2 * _LOWEST
    fits &= (x > 0) & (y > 0) & (x + width < shape[1]) & (y + height < shape[0])
    fits[0] = False
    fits[of_field] = False
    return [int(label) for label in np.flatnonzero(fits)]


def _peak(label: int, labels: np.ndarray, boxes: np.ndarray, raised: np.ndarray) -> float:
    """The brightest level of a mark."""
    x, y, width, height, _ = boxes[label]
    window = raised[y : y + height, x : x + width]
    return float(window[labels[y : y + height, x : x + width] == label].max())


def _in_rows(marks: list[_Mark], *, along: int) -> set[int]:
    """Places of the marks that stand in a row along the picture (0) or across it (1)."""
    if not marks:
        return set()
    across = 1 - along
    centres = np.array([mark.centre for mark in marks], np.float64)
    sizes = np.array([mark.size for mark in marks], np.float64)
    tall = sizes[:, across]
    found: set[int] = set()
    for first in np.flatnonzero(tall >= _LOWEST):
        height = tall[first]
        alike = (tall >= _ALIKE[0] * height) & (tall <= _ALIKE[1] * height)
        alike &= np.abs(centres[:, across] - centres[first, across]) <= _LEVEL * height
        alike &= (sizes[:, along] <= _WIDEST * tall) | [m.letters > 1 for m in marks]
        row = np.flatnonzero(alike)
        row = row[np.argsort(centres[row, along])]
        ends = (centres + sizes / 2)[row, along]
        starts = (centres - sizes / 2)[row, along]
        breaks = np.flatnonzero(starts[1:] - np.maximum.accumulate(ends)[:-1] > _GAP * height) + 1
        for part in np.split(row, breaks):
            if first in part and _is_text([marks[i] for i in part]):
                found.update(int(i) for i in part)
    return found


def _is_text(row: list[_Mark]) -> bool:
    """Whether a row has enough letters, and not only dots or bars."""
    curved = sum(mark.fill < _SOLID for mark in row)
    return sum(mark.letters for mark in row) >= _LETTERS and 2 * curved >= len(row)
