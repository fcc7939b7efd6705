"""Fidelity at equal sharpness: what blur hid is not new, and what noise drew is not lost.

Removing blur shows vessels that the original hides, and removing noise takes lines away that were
none. Both differ from the original as an invention and a loss do. So where blur or noise was found,
the images are compared again: for losses, both smoothed against the noise; for what is new, the
enhanced image blurred as much as the original, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from magenet_batch.imaging.colour import resize_area, to_eight_bits
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.imaging.masked import masked_gaussian

_DIAMETER = 560  # of the field of view in the copies that are compared, pixels
_NOISY = 0.6  # noise, percent of the range, from which lines are drawn by noise
_AGAINST_NOISE = 1.5  # standard deviation of the smoothing against it, pixels of the copies
_BLURRED = 0.35  # standard deviation of the blur from which it matters, pixels of the copies


@dataclass(frozen=True)
class Sharpness:
    """How sharp an original is, and how vessels are found in its copies.

    Attributes:
        blur: standard deviation of its blur, per mille of the diameter of its field of view.
        noise: standard deviation of its noise, percent of the range.
        vessels: detects vessels in (H, W, 3) RGB: (h, w) float32 probability over the whole
            picture, or None.
    """

    blur: float
    noise: float
    vessels: Callable[[np.ndarray, FieldOfView], np.ndarray | None]

    @property
    def noisy(self) -> bool:
        """Whether noise draws lines."""
        return self.noise > _NOISY

    @property
    def matters(self) -> bool:
        """Whether there is blur or noise that a comparison must allow for."""
        return self.noisy or self.blur * _DIAMETER / 1000 > _BLURRED


@dataclass(frozen=True)
class Copies:
    """Reduced copies of an original and of its enhanced image.

    Attributes:
        fov: the field of view of all of them.
        before: the original, smoothed where it is noisy, (h, w, 3) uint8.
        after: the enhanced image, smoothed alike.
        blurred: the same, blurred as the original is.
    """

    fov: FieldOfView
    before: np.ndarray
    after: np.ndarray
    blurred: np.ndarray

    @classmethod
    def of(
        cls, before: np.ndarray, after: np.ndarray, fov: FieldOfView, sharpness: Sharpness
    ) -> Copies:
        """Make the copies.

        Args:
            before: (H, W, 3) RGB, uint8 or uint16.
            after: the same shape and type.
            fov: the field of view of both.
            sharpness: how sharp the original is.
        """
        scale = min(1.0, _DIAMETER / (2 * fov.radius))
        size = round(before.shape[1] * scale), round(before.shape[0] * scale)
        small = fov.scaled(scale)
        old, new = (to_eight_bits(resize_area(x, *size)) for x in (before, after))
        inside = small.mask(*old.shape[:2])
        grain = _AGAINST_NOISE if sharpness.noisy else 0.0
        blur = sharpness.blur * 2 * small.radius / 1000
        return cls(
            small, _smoothed(old, inside, grain), _smoothed(new, inside, grain),
            _smoothed(new, inside, float(np.hypot(grain, blur))),
        )  # fmt: skip


def _smoothed(pixels: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """Smooth inside the mask by a Gaussian, without what is outside."""
    if sigma < _BLURRED:
        return pixels
    mask = inside.astype(np.float32)
    smooth, _ = masked_gaussian(pixels * mask[..., None], mask, sigma)
    result: np.ndarray = np.where(inside[..., None], np.rint(smooth), pixels).astype(np.uint8)
    return result
