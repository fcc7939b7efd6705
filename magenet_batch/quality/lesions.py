"""Are spots of the size of lesions kept? Compared place by place, before and after."""

from __future__ import annotations

import cv2
import numpy as np

from magenet_batch.quality.measures import MeasuringCopy

_SCALES = ((1.5, 5.0), (3.5, 10.0))  # inner and outer Gaussian of a spot, pixels at 512
_AROUND = 16.0  # standard deviation of the light about a spot, pixels
_NEAR = 4  # pixels within which two spots are the same
_SEEN = 0.015  # Weber contrast from which something is there
_GAIN = 24.0  # standard deviation of the window in which spots gain alike, pixels
_MOST_GAINED = 8.0  # contrast of spots, after over before, that a window can have
_DIGITS = 4  # what is finer differs with the place of an array in memory


def lesion_changes(before: MeasuringCopy, after: MeasuringCopy) -> dict[str, float | None]:
    """Hold the spots of an enhanced image against those of its original.

    A spot is an extremum of a difference of Gaussians (Marr and Hildreth 1980) of green over the
    light about it, at two scales: from a microaneurysm to a small haemorrhage or exudate. Vessels
    answer too; what is long as well as narrow is left to the vessel measures by asking that a spot
    answers in all directions.

    Args:
        before: the original at the measuring scale.
        after: its enhanced image.

    Returns:
        `lesion_new`, `lesion_lost`: contrast (Weber) of the strongest spot on one side only, over
        that at the same place on the other, which may have gained as much as all spots did, or
        as those around it, as where a veil was denser;
        `lesion_contrast`: how much that is, after over before. None where nothing can be said.
    """
    if before.mask.sum() < 400:
        return dict.fromkeys(("lesion_new", "lesion_lost", "lesion_contrast"))
    spots = _Spots(before.mask)
    old, new = spots.of(before.green), spots.of(after.green)
    gain = _gain(old, new)
    if gain is None:
        new_spot, lost_spot = _most(new, old, 1.0), _most(old, new, 1.0)
        return {"lesion_new": new_spot, "lesion_lost": lost_spot, "lesion_contrast": None}
    return {
        # After may be stronger, as everything is; it may be weaker too, as where glare is taken.
        "lesion_new": _most(new, old, np.maximum(max(1.0, gain), spots.gain(old, new))),
        "lesion_lost": _most(old, new, max(1.0, 1 / max(gain, 0.2))),
        "lesion_contrast": gain,
    }


class _Spots:
    """Finds spots inside one mask."""

    def __init__(self, mask: np.ndarray) -> None:
        self._weight = mask.astype(np.float32)
        sigmas = {_AROUND, *(sigma for pair in _SCALES for sigma in pair)}
        self._inside = {
            sigma: np.maximum(cv2.GaussianBlur(self._weight, (0, 0), sigma), 1e-3)
            for sigma in sigmas
        }

    def of(self, green: np.ndarray) -> np.ndarray:
        """Weber contrast of spots, (4, h, w) float32 >= 0: dark and bright, small and large."""
        around = np.maximum(self._smooth(green, _AROUND), 0.05)
        found = []
        for inner, outer in _SCALES:
            centre = self._smooth(green, inner)
            difference = (centre - self._smooth(green, outer)) / around
            for sign in (-1, 1):
                bump = np.maximum(sign * difference, 0)
                found.append(bump * _round(sign * centre, inner) * self._weight)
        return np.stack(found)

    def gain(self, old: np.ndarray, new: np.ndarray) -> np.ndarray:
        """How much the spots around each place gained, (h, w) float32.

        A regression on the original's spots: one that was not there has no part in it.
        """
        a, b = old.max(0), new.max(0)
        shared, energy = (cv2.GaussianBlur(a * x * self._weight, (0, 0), _GAIN) for x in (b, a))
        gain: np.ndarray = np.clip(shared / np.maximum(energy, 1e-9), 0, _MOST_GAINED)
        return gain

    def _smooth(self, x: np.ndarray, sigma: float) -> np.ndarray:
        return cv2.GaussianBlur(x * self._weight, (0, 0), sigma) / self._inside[sigma]


def _round(x: np.ndarray, sigma: float) -> np.ndarray:
    """How round the top of every bump is, 0 along a line to 1 on a spot (smaller over larger)."""
    xx = cv2.filter2D(x, cv2.CV_32F, np.array([[1, -2, 1]], np.float32))
    yy = cv2.filter2D(x, cv2.CV_32F, np.array([[1], [-2], [1]], np.float32))
    xy = cv2.filter2D(x, cv2.CV_32F, np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 1]], np.float32) / 4)
    mean, spread = -(xx + yy) / 2, cv2.magnitude((xx - yy) / 2, xy)
    share = np.clip((mean - spread) / np.maximum(mean + spread, 1e-6), 0, 1)
    return cv2.GaussianBlur(np.sqrt(share), (0, 0), sigma)


def _gain(old: np.ndarray, new: np.ndarray) -> float | None:
    """The usual ratio of contrast after to before, where something was there before."""
    there = old.max(0) > _SEEN
    if there.sum() < 50:
        return None
    return round(float(np.median(new.max(0)[there] / old.max(0)[there])), _DIGITS)


def _most(a: np.ndarray, b: np.ndarray, gain: float | np.ndarray) -> float:
    """The strongest spot of `a` over what is near in `b` times the gain."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _NEAR + 1, 2 * _NEAR + 1))
    most = max(
        float(np.max(x - gain * cv2.dilate(y, disc), initial=0.0))
        for x, y in zip(a, b, strict=True)
    )
    return round(most, _DIGITS)
