"""Does the macula stay dark? Finds it without annotation and measures its depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.quality.measures import MeasuringCopy

# Pixels of a field of view 512 wide: an optic disc is about 68 across at 45 degrees.
_CENTRE = 14  # radius of the dark centre
_RING = (50, 82)  # radii of the ring around it
_VESSELS = 13  # dark lines up to this width are filled before looking
_ZONE = 0.6  # radii of the field of view from its centre within which the search runs
_LEAST_RING = 0.8  # share of the ring that must be in the field of view
_SECTORS = 8  # of the ring
_LEAST_SECTOR = 0.3  # share of a sector that must be in the field of view for it to count
_LEAST_SPOT = 0.1  # how much darker than every sector: less is a slope of light, or nothing
_STEP = 4  # the search runs at a quarter of the size


class MaculaPosition(NamedTuple):
    """Centre of the macula at the measuring scale, in pixels.

    It holds for every image with the same field of view: an original and its enhanced copy.
    """

    x: int
    y: int


def find_macula(pixels: np.ndarray, fov: FieldOfView) -> MaculaPosition | None:
    """Find the darkest smooth spot of a macula's size in the central zone.

    A closing of green fills the vessels. The position is where the mean of a disc is lowest
    relative to the mean of the ring around it, among places that are darker than each of eight
    sectors of it by a tenth: at the edge of a shadow or a glare, light falls off to one side only.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        fov: its field of view.

    Returns:
        None where there is no such place, or the field of view is too small for the ring.
    """
    return find_macula_on(MeasuringCopy.of(pixels, fov))


def find_macula_on(copy: MeasuringCopy) -> MaculaPosition | None:
    """The same of an image that is at the measuring scale already."""
    mask = copy.mask
    line = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_VESSELS, _VESSELS))
    filled = cv2.morphologyEx(copy.green, cv2.MORPH_CLOSE, line)
    size = (max(1, mask.shape[1] // _STEP), max(1, mask.shape[0] // _STEP))
    weight = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    green = cv2.resize(filled * mask, size, interpolation=cv2.INTER_AREA)
    centre_mean, centre_share = _mean(green, weight, _kernel(0, _CENTRE))
    ring_mean, ring_share = _mean(green, weight, _kernel(*_RING))
    darkest = np.full_like(green, np.inf)
    for sector in _ring_sectors():
        mean, share = _mean(green, weight, sector)
        darkest = np.where(share > _LEAST_SECTOR, np.minimum(darkest, mean), darkest)
    rows, columns = np.ogrid[: size[1], : size[0]]
    left, top = _middle(copy.fov, size)
    near = np.hypot(columns - left, rows - top) < _ZONE * 256 / _STEP
    allowed = near & (centre_share > 0.99) & (ring_share > _LEAST_RING)
    allowed &= centre_mean <= (1 - _LEAST_SPOT) * darkest
    if not allowed.any():
        return None
    depth = np.where(allowed, 1 - centre_mean / np.maximum(ring_mean, 1e-3), -np.inf)
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return MaculaPosition(int(column) * _STEP + _STEP // 2, int(row) * _STEP + _STEP // 2)


def macula_depth(pixels: np.ndarray, fov: FieldOfView, position: MaculaPosition) -> float | None:
    """Measure 1 - centre / ring in green at a position; medians, which vessels hardly move.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        fov: its field of view.
        position: from `find_macula` of the original.

    Returns:
        Above 0 where the centre is darker; None where nothing can be measured.
    """
    return macula_depth_on(MeasuringCopy.of(pixels, fov), position)


def macula_depth_on(copy: MeasuringCopy, position: MaculaPosition) -> float | None:
    """The same of an image that is at the measuring scale already."""
    mask, green = copy.mask, copy.green
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    distance = np.hypot(columns - position.x, rows - position.y)
    centre = (distance <= _CENTRE) & mask
    ring = (distance >= _RING[0]) & (distance <= _RING[1]) & mask
    if not centre.any() or not ring.any():
        return None
    return float(1 - np.median(green[centre]) / max(float(np.median(green[ring])), 1e-3))


def _middle(fov: FieldOfView, size: tuple[int, int]) -> tuple[float, float]:
    """The centre of the field of view in the small picture."""
    top, bottom, left, right = fov.box(fov.height, fov.width)
    x = (fov.x - left) / max(right - left, 1)
    y = (fov.y - top) / max(bottom - top, 1)
    return x * size[0], y * size[1]


def _kernel(inner: float, outer: float) -> np.ndarray:
    """A ring of ones at the small size, summing to 1."""
    reach = int(np.ceil(outer / _STEP))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    distance = np.hypot(rows, columns) * _STEP
    ring = ((distance >= inner) & (distance <= outer)).astype(np.float32)
    result: np.ndarray = ring / ring.sum()
    return result


def _ring_sectors() -> Iterator[np.ndarray]:
    """Sectors of the ring at the small size, each summing to 1."""
    ring = _kernel(*_RING)
    rows, columns = np.indices(ring.shape) - ring.shape[0] // 2
    turn = (np.arctan2(rows, columns) / (2 * np.pi)) % 1
    for sector in range(_SECTORS):
        part = ring * ((turn * _SECTORS).astype(int) == sector)
        yield part / part.sum()


def _mean(x: np.ndarray, weight: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of x under the kernel inside the mask, and the share of the kernel that is inside."""
    sums = cv2.filter2D(x, cv2.CV_32F, kernel, borderType=cv2.BORDER_CONSTANT)
    share = cv2.filter2D(weight, cv2.CV_32F, kernel, borderType=cv2.BORDER_CONSTANT)
    return sums / np.maximum(share, 1e-3), share
