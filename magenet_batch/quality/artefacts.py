"""What a camera adds to a photograph: spots on the lens, grain, and the blocks of JPEG.

Spots and grain are taken at the measuring scale (a field of view 512 pixels wide), blocks on the
pixels as they were stored, because every reduction blurs their grid.
"""

from __future__ import annotations

from itertools import combinations, pairwise

import cv2
import numpy as np

from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.imaging.masked import masked_gaussian

_BLOCK = 8  # pixels of a JPEG block
_WIDEST = 1536  # pixels of a field of view beyond which blocks are too small to be seen
_LEAST_STEP = 0.25 / 255  # a step between two pixels that counts as none
_SPOT_SIGMAS = (3.0, 6.0, 12.0)  # pixels; spots are seen at half the size
_GRAIN_SIGMAS = (0.8, 1.6, 3.2)  # pixels
_LEAST = 1e-4

ARTEFACTS: tuple[str, ...] = (
    *(f"spot_{kind}_{sigma:.0f}_{much}"
      for sigma in _SPOT_SIGMAS for kind in ("bright", "dark") for much in ("many", "most")),
    *(f"grain_{name}_{scale}" for scale in ("fine", "middle")
      for name in ("red", "green", "blue", "red_green", "red_blue", "green_blue")),
    "blocks",
)  # fmt: skip
"""Names of what `describe_artefacts` gives, in its order, and `blocks` from `block_edges`."""


def describe_artefacts(rgb: np.ndarray, mask: np.ndarray) -> list[float]:
    """Spots and grain.

    Args:
        rgb: (h, w, 3) float32 in [0, 1], from `measures.at_measuring_scale`.
        mask: (h, w) bool, where to look.

    Returns:
        `len(ARTEFACTS) - 1` numbers.
    """
    return [*_spots(rgb, mask), *_grain(rgb, mask)]


def _spots(rgb: np.ndarray, mask: np.ndarray) -> list[float]:
    """Blobs that all channels share: light that is added, unlike disc, vessels and lesions.

    Differences of Gaussians; of bright blobs the least of the three channels, of dark ones the
    lesser of red and green, because blue is often black already.
    """
    size = (max(1, mask.shape[1] // 2), max(1, mask.shape[0] // 2))
    weight = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(rgb * mask[..., None], size, interpolation=cv2.INTER_AREA)
    inside = weight > 0.5
    found = []
    for sigma in _SPOT_SIGMAS:
        near, far = (masked_gaussian(small, weight, s / 2)[0] for s in (sigma, 1.6 * sigma))
        red, green, blue = (plane[inside] for plane in cv2.split(near - far))
        bright, dark = np.minimum(np.minimum(red, green), blue), -np.maximum(red, green)
        for shared in (bright, dark):
            found += [float(v) for v in _quantiles(shared, 0.98, 0.998)]
    return found


def _grain(rgb: np.ndarray, mask: np.ndarray) -> list[float]:
    """Of two fine bands: their spread in each channel, and how much the channels agree.

    Noise differs between channels, while texture and vessels are in all of them.
    """
    levels = [cv2.split(cv2.GaussianBlur(rgb, (0, 0), sigma)) for sigma in _GRAIN_SIGMAS]
    found = []
    for fine, coarse in pairwise(levels):
        bands = [(a - b)[mask] for a, b in zip(fine, coarse, strict=True)]
        found += [float(np.log10(_quantiles(np.abs(b), 0.5)[0] + _LEAST)) for b in bands]
        found += _agreements(bands)
    return found


def _agreements(bands: list[np.ndarray]) -> list[float]:
    """Correlations of each two bands, whose extremes count less; 0 where one is constant."""
    centred = []
    for band in bands:
        low, high = _quantiles(band, 0.05, 0.95)
        middle = np.clip(band, low, high)
        centred.append(middle - middle.mean())
    spread = [np.sqrt(band @ band) for band in centred]
    return [
        float(centred[i] @ centred[j] / (spread[i] * spread[j] + _LEAST))
        for i, j in combinations(range(len(bands)), 2)
    ]


def _quantiles(values: np.ndarray, *shares: float) -> list[np.float32]:
    """Quantiles by sorting, several times as fast as numpy.percentile; 0 of nothing."""
    ordered = np.sort(values) if len(values) else np.zeros(1, np.float32)
    return [ordered[round(share * (len(ordered) - 1))] for share in shares]


def block_edges(pixels: np.ndarray, fov: FieldOfView) -> float:
    """How far steps at the edges of 8 x 8 blocks exceed the others: a sign of strong compression.

    After the blocking artefact measure of Wang, Sheikh and Bovik (ICIP 2002), in space.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16, as stored.
        fov: its field of view.

    Returns:
        Natural logarithm of the ratio, about 0 without blocks; 0 for a field of view wider than
        1536 pixels, where blocks cannot be seen.
    """
    if 2 * fov.radius > _WIDEST:
        return 0.0
    height, width = pixels.shape[:2]
    top, bottom, left, right = fov.box(height, width)
    top, left = (-(-v // _BLOCK) * _BLOCK for v in (top, left))
    green = pixels[top:bottom, left:right, 1].astype(np.float32) / np.iinfo(pixels.dtype).max
    found = []
    for turned in (green, green.T):
        steps = np.abs(np.diff(turned, axis=1)).mean(0)
        count = len(steps) // _BLOCK * _BLOCK
        if not count:
            return 0.0
        by_place = steps[:count].reshape(-1, _BLOCK).mean(0)
        found.append(np.log((by_place[-1] + _LEAST_STEP) / (by_place[:-1].mean() + _LEAST_STEP)))
    return float(np.mean(found))
