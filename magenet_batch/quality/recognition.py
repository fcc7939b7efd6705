"""What kind of picture is it? Recognised before the network, each with a reason.

A colour fundus photograph on which something can be seen passes. The rest is: several fields in one
frame, no fundus, no colour, or a surface without a vessel on it. The limits were chosen to say
nothing wrong of photographs (`studies/recognising.py`), not to find every stranger.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from magenet_batch.imaging.colour import resize_area
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.quality.measures import MeasuringCopy

_SMALL = 256  # longest side at which fields are counted and colours are looked at
_COLOURED = 0.035  # difference of channels that JPEG does not make of grey
_LEAST_COLOURED = 0.01  # share of the field of view that is coloured in a colour photograph
_EXTREME, _MOST_EXTREME = 0.04, 0.97  # distance from black or white; share of pixels so near
_FIELD = 0.08  # share of the frame that a field has at least
_LIT = 0.06  # level above the border from which something is lit
_CORE = 0.7  # of the largest inner radius: what is left of discs that touch
_ALIKE = 0.75  # inner radius of a field to that of the largest
_ROUND = (0.8, 1.35)  # area of a field to that of its inner circle
_LONG = 1.45  # length of two fields that were cropped and joined, over their height
_FULL = 0.85  # share of their bounding box that is lit
_WAIST = 0.93  # height where they meet, over their own
_WHITE = 0.08  # share of a picture of an eye from outside that is white
_BLACK = 0.04  # typical level of the field of view below which eight bits show nothing
_LEAST_DIAMETER = 200  # pixels of the field of view below which no vessel can be told from none
_INNER = 37  # pixels of erosion: what lies near the edge, and burnt-in text, is no vessel
_CLEAR = 98  # percentile of the responses that stands for the clearest lines
_CONTRAST_WEIGHT = 3.0  # of the contrast of lines beside their asymmetry
_CLEAR_CONTRAST, _CLEAR_WEIGHT = 0.055, 20.0  # lines so clear are seen whatever is bright


def recognise(
    pixels: np.ndarray, fov: FieldOfView | None
) -> Literal["several_fields", "not_fundus", "not_colour"] | None:
    """What a picture is that is no colour photograph of one retina.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        fov: its field of view, None where there is none.

    Returns:
        None for a colour photograph, and for a picture of which nothing is known.
    """
    small = reduced(pixels)
    if count_fields(small) > 1:
        return "several_fields"
    if is_drawing(pixels) or (fov is not None and is_eye(small, fov)):
        return "not_fundus"
    return "not_colour" if fov is not None and not is_colour(small, fov) else None


def count_fields(small: np.ndarray) -> int:
    """The number of lit discs of like size that stand apart on black.

    Args:
        small: the whole picture, from `reduced`.

    Returns:
        1 where there are not several, whatever it is.
    """
    light = small.max(2)
    low, high = (float(v) for v in np.percentile(light, [2, 95]))
    lit = (light > low + max(_LIT, 0.12 * (high - low))).astype(np.uint8)
    lit = cv2.morphologyEx(lit, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    contours, _ = cv2.findContours(lit, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    lit = cv2.drawContours(np.zeros_like(lit), contours, -1, 1, cv2.FILLED)
    away = cv2.distanceTransform(cv2.copyMakeBorder(lit, 1, 1, 1, 1, 0), cv2.DIST_L2, 5)[1:-1, 1:-1]
    most = float(away.max())
    count, cores = cv2.connectedComponents((away > _CORE * most).astype(np.uint8))
    if _are_joined(lit) or _are_joined(lit.T):
        return 2
    if count < 3:
        return 1
    # Every lit pixel belongs to the core nearest to it; a disc is as large as its inner circle.
    _, nearest = cv2.distanceTransformWithLabels(
        (cores == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP
    )
    discs = 0
    for core in range(1, count):
        radius = float(away[cores == core].max())
        mine = nearest == nearest[cores == core][0]
        area = float((lit[mine] > 0).sum()) / (np.pi * max(radius, 1.0) ** 2)
        fields = np.pi * radius**2 > _FIELD * lit.size and radius > _ALIKE * most
        discs += bool(fields and _ROUND[0] < area < _ROUND[1])
    return max(1, discs)


def _are_joined(lit: np.ndarray) -> bool:
    """Whether two cropped fields stand side by side: long, and lower where their corners meet."""
    rows, columns = (np.flatnonzero(lit.any(axis)) for axis in (1, 0))
    if not len(columns) or np.ptp(columns) < _LONG * np.ptp(rows):
        return False
    box = lit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if box.mean() < _FULL:
        return False
    heights = box.sum(0)
    third = len(heights) // 3
    left, middle, right = heights[:third], heights[third:-third], heights[-third:]
    least, most = sorted((float(left.max()), float(right.max())))
    return bool(least > _ALIKE * most and middle.min() < _WAIST * least)


def is_colour(small: np.ndarray, fov: FieldOfView) -> bool:
    """Whether the channels differ anywhere, by more than compression makes them differ.

    Args:
        small: the whole picture, from `reduced`.
        fov: the field of view.
    """
    inside = small[fov.without_rim(0.05).mask(*small.shape[:2])]
    if not len(inside):
        return True
    if np.percentile(np.sort(inside, axis=1)[:, 1], 99) < _COLOURED:
        return False  # one channel alone: red-free, stored as it was lit
    return bool((np.ptp(inside, axis=1) > _COLOURED).mean() >= _LEAST_COLOURED)


def is_eye(small: np.ndarray, fov: FieldOfView) -> bool:
    """Whether a picture without a border shows an eye from outside.

    The white of the eye is bright and has hardly a colour; a retina has nothing like it.

    Args:
        small: the whole picture, from `reduced`.
        fov: what was taken for the field of view.
    """
    if fov.radius < 0.49 * np.hypot(fov.width, fov.height):
        return False
    most, least = small.max(2), small.min(2)
    white = (most > 0.45) & (most - least < 0.2 * most)
    return bool(white.mean() > _WHITE)


def is_drawing(pixels: np.ndarray) -> bool:
    """Whether nearly every pixel is black or white: a mask or a page, no photograph.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
    """
    small = pixels[:: max(1, pixels.shape[0] // 512), :: max(1, pixels.shape[1] // 512)]
    levels = small.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    black, white = levels.max(2) < _EXTREME, levels.min(2) > 1 - _EXTREME
    shares = black.mean(), white.mean()
    return bool(sum(shares) > _MOST_EXTREME and min(shares) > 0.005)


def vessels_seen(pixels: np.ndarray, fov: FieldOfView) -> float | None:
    """How far dark lines stand out from bright ones: there is no vessel where they do not.

    Of the answers of elongated filters (`quality.lines`): (D / B - 1) + 3 D + 20 max(0, D - 0.055),
    where D is the 98th percentile of dark lines and B that of bright ones. Noise and a plain
    surface answer to both alike; the last term is for retinas with many bright exudates.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        fov: the field of view.

    Returns:
        About 0 for a surface, 0.5 to 1.5 for photographs; None where the picture is too small.
    """
    return vessels_seen_on(MeasuringCopy.of(pixels, fov))


def vessels_seen_on(copy: MeasuringCopy) -> float | None:
    """The same of an image that is at the measuring scale already."""
    mask = copy.mask
    if 2 * copy.fov.radius < _LEAST_DIAMETER or not mask.any():
        return None
    if float(np.median(copy.rgb.max(2)[mask])) < _BLACK:
        return 0.0
    inner = copy.lines.inner(_INNER)
    if inner.sum() < 1000:
        return None
    dark, bright = (
        float(np.percentile(answers[inner], _CLEAR))
        for answers in (copy.lines.dark, copy.lines.bright)
    )
    clear = _CLEAR_WEIGHT * max(0.0, dark - _CLEAR_CONTRAST)
    return max(0.0, dark / max(bright, 1e-4) - 1 + _CONTRAST_WEIGHT * dark + clear)


def reduced(pixels: np.ndarray) -> np.ndarray:
    """The whole picture at most 256 pixels long: (h, w, 3) float32 in [0, 1].

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, _SMALL / max(height, width))
    small = resize_area(pixels, max(1, round(width * scale)), max(1, round(height * scale)))
    scaled: np.ndarray = small.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return scaled
