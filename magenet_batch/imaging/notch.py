"""Find the notch of a field of view: a small tab of retina at its edge.

The field of view is described as a disc. A notch lies outside the disc, tells which way is up, and
shows retina all the same. It is told from burnt-in text, leaked light and lesser faults of the fit
by its shape, by its colour, and by the border that surrounds it.
"""

from __future__ import annotations

import cv2
import numpy as np

from magenet_batch.imaging.fov import FieldOfView, analysis_scale, brightest
from magenet_batch.imaging.masked import masked_gaussian

_REDUCED = 4  # by which wide means are reduced
_FARTHEST = 0.12  # radii outside of the field of view in which a notch is looked for
_DEPTH = (0.015, 0.09)  # least and most that a notch extends outward, radii
_WIDEST = 0.4  # most that it extends along the edge, radii
_LEAST_DEEP = 0.15  # depth over extent: a crescent is a disc that does not fit
_THICK = 3  # least thickness, pixels of the analysis copy: a stroke of text is thinner
_MOST = 4  # notches of one image; more are an outline that was not a circle
_LIT = 0.4  # share of the rim's level above the border from which a pixel is lit
_DARK = 0.3  # the same, below which its surroundings are border
_BORDER = 0.9  # least share of them that is
_RIM = (0.02, 0.06)  # where the rim's level is measured, radii inside the edge
_LEAST_LEVEL = 12.0  # of the rim above the border, 0..255: less is not told from noise
_LIKE = (0.45, 2.5)  # of each channel, notch over rim
_SPREAD = 2.0  # most by which these ratios differ: text is white, a notch has the rim's colour
_SOFT = (0.15, 0.5)  # share of the notch's level at which its weight is 0, and 1


def notch_weights(pixels: np.ndarray, small: np.ndarray, fov: FieldOfView) -> np.ndarray | None:
    """How far each pixel outside the field of view belongs to a notch.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        small: its analysis copy (`imaging.fov.analysis_copy`), (h, w, 3).
        fov: its field of view.

    Returns:
        (H, W) float32, 0..1, which falls to 0 as the notch does into the border, and is 0 in the
        field of view; None where there is no notch.
    """
    height, width = pixels.shape[:2]
    size = small.shape[1::-1]
    disc = fov.mask(size[1], size[0])
    found = _notches(small, disc, fov.radius * analysis_scale(fov))
    if found is None:
        return None
    notch, border = found
    weights: np.ndarray = np.zeros((height, width), np.float32)
    level = float(np.median(brightest(small)[notch > 0])) - border
    near = cv2.dilate(notch, np.ones((3, 3), np.uint8))  # the soft edge is told at full size
    count, _, boxes, _ = cv2.connectedComponentsWithStats(near)
    for left, top, wide, tall, _ in boxes[1:count]:
        rows = slice(*_enlarged(top, tall, height / size[1], height))
        columns = slice(*_enlarged(left, wide, width / size[0], width))
        light = pixels[rows, columns].max(2).astype(np.float32)
        light /= 257.0 if pixels.dtype == np.uint16 else 1.0
        shown = cv2.resize(
            near[top : top + tall, left : left + wide].astype(np.float32), light.shape[::-1],
            interpolation=cv2.INTER_NEAREST,
        )  # fmt: skip
        share = ((light - border) / level - _SOFT[0]) / (_SOFT[1] - _SOFT[0])
        weights[rows, columns] = np.maximum(weights[rows, columns], shown * share.clip(0, 1))
    weights[fov.mask(height, width)] = 0
    return weights


def _enlarged(start: int, length: int, factor: float, most: int) -> tuple[int, int]:
    return max(0, round(start * factor)), min(most, round((start + length) * factor))


def _notches(small: np.ndarray, disc: np.ndarray, radius: float) -> tuple[np.ndarray, float] | None:
    """The notches on the analysis copy, (h, w) uint8, and the level of the border around them."""
    light = brightest(small)
    far = cv2.dilate(disc.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    if not far.any() or np.ptp(light[far]) <= _LIT * _LEAST_LEVEL:
        return None  # nothing is lit there
    outside = (~disc).astype(np.uint8)
    away = cv2.distanceTransform(outside, cv2.DIST_L2, 5)
    near = (away > 0) & (away <= _FARTHEST * radius)
    if near.sum() < 20:
        return None
    dark = np.median(small[near], axis=0)  # colour of the border
    border = float(dark.max())
    lit = near & (light - border > _LIT * _LEAST_LEVEL)
    if not _core(lit, disc, away, radius).any():
        return None
    inside = cv2.distanceTransform(1 - outside, cv2.DIST_L2, 5)
    ring = (inside >= _RIM[0] * radius) & (inside <= _RIM[1] * radius)
    if not ring.any():
        return None
    # The colour that the rim has nearest to each pixel, by a wide mean over the rim.
    colour = _spread(small, ring, _FARTHEST * radius)
    level = brightest(colour) - border
    lit &= (level > _LEAST_LEVEL) & (light - border > _LIT * level)
    core = _core(lit, disc, away, radius)
    reach = 2 * round(1.5 * _DEPTH[0] * radius) + 1
    whole = lit & (cv2.dilate(core, np.ones((reach, reach), np.uint8)) > 0)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(whole.astype(np.uint8))
    bright = light - border >= _DARK * level
    chosen: np.ndarray = np.zeros(disc.shape, np.uint8)
    number = 0
    for label in range(1, count):
        one = labels == label
        if (
            _shaped(boxes[label], disc.shape, float(away[one].max()), radius)
            and float(away[one].min()) < 2
            and _alike(small[one], colour[one], dark)
            and _surrounded(one, bright, away)
        ):
            chosen[one], number = 1, number + 1
    return (chosen, border) if 0 < number <= _MOST else None


def _core(lit: np.ndarray, disc: np.ndarray, away: np.ndarray, radius: float) -> np.ndarray:
    """What is lit and stands out from the edge, (h, w) uint8; a crescent has no core."""
    thick = np.ones((_THICK, _THICK), np.uint8)
    core: np.ndarray = cv2.morphologyEx((lit | disc).astype(np.uint8), cv2.MORPH_OPEN, thick)
    core[away < _DEPTH[0] * radius] = 0
    return core


def _shaped(box: np.ndarray, shape: tuple[int, ...], depth: float, radius: float) -> bool:
    """Whether a part has the size of a notch, and lies in the frame whole."""
    left, top, wide, tall = (int(v) for v in box[:4])
    if min(left, top) == 0 or left + wide == shape[1] or top + tall == shape[0]:
        return False  # whether border surrounds it cannot be seen
    deep, extent = depth / radius, float(np.hypot(wide, tall)) / radius
    return _DEPTH[0] <= deep <= _DEPTH[1] and extent <= min(_WIDEST, deep / _LEAST_DEEP)


def _surrounded(one: np.ndarray, bright: np.ndarray, away: np.ndarray) -> bool:
    """Whether border lies around a part, unlike around leaked light."""
    wider, wide = (cv2.dilate(one.astype(np.uint8), np.ones((n, n), np.uint8)) for n in (9, 5))
    around = bright[(wider > 0) & (wide == 0) & (away > 2)]
    return bool(around.size and around.mean() < 1 - _BORDER)


def _spread(small: np.ndarray, ring: np.ndarray, sigma: float) -> np.ndarray:
    """Wide weighted means of a picture over the ring, computed at a quarter of its size."""
    weight: np.ndarray = ring.astype(np.float32)
    whole = weight.shape[::-1]
    size = tuple(max(4, side // _REDUCED) for side in whole)
    weighted, weight = (
        cv2.resize(t, size, interpolation=cv2.INTER_AREA)
        for t in (small * weight[..., None], weight)
    )
    mean, _ = masked_gaussian(weighted, weight, sigma / _REDUCED, least=1e-4)
    result: np.ndarray = cv2.resize(mean, whole, interpolation=cv2.INTER_LINEAR)
    return result


def _alike(notch: np.ndarray, rim: np.ndarray, border: np.ndarray) -> bool:
    """Whether pixels (N, 3) have the colour of the rim beside them."""
    ours, theirs = (np.median(pixels, axis=0) - border + 4 for pixels in (notch, rim))
    if min(ours.min(), theirs.min()) <= 0:
        return False
    ratios = ours / theirs
    return bool(
        _LIKE[0] <= ratios.min() and ratios.max() <= _LIKE[1]
        and ratios.max() <= _SPREAD * ratios.min()
    )  # fmt: skip
