"""Fidelity at equal sharpness: what blur hid is not new, and what noise drew is not lost.

Removing blur shows vessels that the original hides, and removing noise takes lines away that were
none. Both differ from the original as an invention and a loss do. So where blur or noise was found,
the images are compared again: for losses, both smoothed against the noise; for what is new, the
enhanced image blurred as much as the original, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from magenet_batch.imaging.colour import resize_area, to_eight_bits
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.imaging.masked import masked_gaussian

_DIAMETER = 560  # of the field of view in the copies that are compared, pixels
_NOISY = 0.6  # noise, percent of the range, from which lines are drawn by noise
_COMPRESSED = 0.2  # loss by compression from which its blocks draw lines, and hide the noise
_AGAINST_NOISE = 1.5  # standard deviation of the smoothing against it, pixels of the copies
_BLURRED = 0.35  # standard deviation of the blur from which it matters, pixels of the copies


@dataclass(frozen=True)
class Sharpness:
    """How sharp an original is, and how vessels are found in its copies.

    Attributes:
        blur: standard deviation of its blur, per mille of the diameter of its field of view.
        noise: standard deviation of its noise, percent of the range.
        compression: its loss by JPEG compression, 0..1.
        vessels: detects vessels in (H, W, 3) RGB: (h, w) float32 probability over the whole
            picture, or None.
    """

    blur: float
    noise: float
    compression: float
    vessels: Callable[[np.ndarray, FieldOfView], np.ndarray | None]

    @property
    def noisy(self) -> bool:
        """Whether noise or compression draws lines."""
        return self.noise > _NOISY or self.compression > _COMPRESSED

    @property
    def matters(self) -> bool:
        """Whether there is blur or noise that a comparison must allow for."""
        return self.noisy or self.blur * _DIAMETER / 1000 > _BLURRED


class Equal(NamedTuple):
    """Three copies of equal sharpness.

    Attributes:
        before: the original, smoothed where it is noisy, (h, w, 3) uint8.
        after: the enhanced image, smoothed alike.
        blurred: the same, blurred as the original is.
    """

    before: np.ndarray
    after: np.ndarray
    blurred: np.ndarray


@dataclass(frozen=True)
class Copies:
    """Reduced copies of an original and of its enhanced image.

    Attributes:
        fov: the field of view of both.
        before: the original, (h, w, 3) uint8.
        after: the enhanced image, the same.
        sharpness: how sharp the original is.
    """

    fov: FieldOfView
    before: np.ndarray
    after: np.ndarray
    sharpness: Sharpness

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
        old, new = (to_eight_bits(resize_area(x, *size)) for x in (before, after))
        return cls(fov.scaled(scale), old, new, sharpness)

    def for_spots(self) -> Equal:
        """For comparing spots: smoothed against the noise as little as helps."""
        return self._equal(_AGAINST_NOISE)

    def for_lines(self) -> Equal:
        """For comparing vessels: smoothed against the noise as much as the original is blurred.

        No vessel of the original is narrower, and noise draws fewer lines.
        """
        return self._equal(max(_AGAINST_NOISE, self._blur))

    @property
    def _blur(self) -> float:
        """Standard deviation of the original's blur, pixels of the copies."""
        return self.sharpness.blur * 2 * self.fov.radius / 1000

    def _equal(self, against_noise: float) -> Equal:
        grain = against_noise if self.sharpness.noisy else 0.0
        inside = self.fov.mask(*self.before.shape[:2])
        return Equal(
            _smoothed(self.before, inside, grain), _smoothed(self.after, inside, grain),
            _smoothed(self.after, inside, float(np.hypot(grain, self._blur))),
        )  # fmt: skip


def _smoothed(pixels: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """Smooth inside the mask by a Gaussian, without what is outside."""
    if sigma < _BLURRED:
        return pixels
    mask = inside.astype(np.float32)
    smooth, _ = masked_gaussian(pixels * mask[..., None], mask, sigma)
    result: np.ndarray = np.where(inside[..., None], np.rint(smooth), pixels).astype(np.uint8)
    return result
