"""A vessel segmenter that shares nothing with the structure module: filters, not learned ones.

After Soares et al., IEEE TMI 25(9), 2006: every pixel is described by its own darkness and by the
strongest response of Gabor wavelets over all directions, at several scales; here a logistic
regression on these and their products decides. Everything is relative to the light around a pixel.
It is fitted on clean photographs by `tools/fit_segmenter.py`; none of its parts is used in
training networks, so that what they do to vessels can be judged by it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from magenet_batch.imaging.colour import resize_area, to_float
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.imaging.masked import masked_gaussian

_FITTED = Path(__file__).parent / "segmenter.json"
_DIAMETER = 640  # pixels of the field of view at which it works
_SCALES = (1.5, 2.5, 4.0, 6.0)  # standard deviation across a vessel, pixels
_DIRECTIONS = 12
_ELONGATION = 2.5


@dataclass(frozen=True)
class Segmenter:
    """A logistic regression on filter responses.

    Attributes:
        mean: of each feature in the images that it was fitted on.
        spread: standard deviation of each.
        weights: one per feature and one per product of two, the constant last.
        threshold: probability from which a pixel is vessel, where Dice was best.
    """

    mean: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    threshold: float

    @classmethod
    def load(cls) -> Segmenter:
        """The one that ships with the package."""
        fitted = json.loads(_FITTED.read_text(encoding="utf-8"))
        arrays = {key: np.array(fitted[key]) for key in ("mean", "spread", "weights")}
        return cls(**arrays, threshold=fitted["threshold"])

    def segment(self, pixels: np.ndarray, fov: FieldOfView) -> np.ndarray:
        """Probability of vessel.

        Args:
            pixels: (H, W, 3) RGB uint8.
            fov: its field of view.

        Returns:
            (H, W) float32, 0 outside the field of view.
        """
        height, width = pixels.shape[:2]
        features, mask = describe(pixels, fov)
        inside = expand((features[mask] - self.mean) / self.spread)
        small = np.zeros(mask.shape, np.float32)
        logits = np.clip(inside @ self.weights[:-1] + self.weights[-1], -30, 30)
        small[mask] = 1 / (1 + np.exp(-logits))
        found = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
        result: np.ndarray = found * fov.mask(height, width)
        return result


def describe(pixels: np.ndarray, fov: FieldOfView) -> tuple[np.ndarray, np.ndarray]:
    """Features of every pixel of the reduced image.

    Args:
        pixels: (H, W, 3) RGB uint8.
        fov: its field of view.

    Returns:
        (h, w, 5) float32 and the field of view in it, (h, w) bool.
    """
    scale = min(1.0, _DIAMETER / (2 * fov.radius))
    height, width = (max(8, round(side * scale)) for side in pixels.shape[:2])
    green = to_float(resize_area(pixels, width, height))[..., 1]
    mask = fov.mask(height, width) if scale == 1 else _mask(fov, scale, height, width)
    weight = mask.astype(np.float32)
    sigma = _DIAMETER / 16
    around, _ = masked_gaussian(green * weight, weight, sigma)
    # Outside the field of view everything looks like its surroundings: no edge, no response.
    darkness = np.where(mask, 1 - green / np.maximum(around, 0.02), 0).astype(np.float32)
    responses = [
        np.max([cv2.filter2D(darkness, cv2.CV_32F, kernel) for kernel in kernels], axis=0)
        for kernels in _bank()
    ]
    return np.stack([darkness, *responses], axis=2), mask


def expand(features: np.ndarray) -> np.ndarray:
    """Features (N, F) and all their products (N, F + F (F + 1) / 2)."""
    count = features.shape[1]
    rows, columns = np.triu_indices(count)
    return np.concatenate([features, features[:, rows] * features[:, columns]], axis=1)


def _mask(fov: FieldOfView, scale: float, height: int, width: int) -> np.ndarray:
    return fov.scaled(scale).mask(height, width)


@lru_cache(maxsize=1)
def _bank() -> list[list[np.ndarray]]:
    """Gabor kernels without mean, per scale one for each direction."""
    return [
        [_gabor(sigma, np.pi * k / _DIRECTIONS) for k in range(_DIRECTIONS)] for sigma in _SCALES
    ]


def _gabor(sigma: float, angle: float) -> np.ndarray:
    side = 2 * int(np.ceil(3 * sigma * _ELONGATION)) + 1
    kernel = cv2.getGaborKernel(
        (side, side), sigma, angle, lambd=4 * sigma, gamma=1 / _ELONGATION, psi=0
    )
    kernel -= kernel.mean()
    result: np.ndarray = (kernel / np.abs(kernel).sum()).astype(np.float32)
    return result
