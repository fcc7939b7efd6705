"""Pictures that are no colour photograph of one retina: synthetic stand-ins."""

from __future__ import annotations

import cv2
import numpy as np

from magenet_batch.phantom import make_phantom


def external_eye(seed: int = 0) -> np.ndarray:
    """Skin, lashes, a white, an iris and a pupil."""
    rng = np.random.default_rng(seed)
    height, width = 384, 512
    rows, columns = np.mgrid[:height, :width]
    image = np.zeros((height, width, 3), np.float32) + np.array([205, 155, 130])
    noise = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 6)
    image += 40 * noise[..., None]
    x, y = (columns - 256) / 195, (rows - 192) / 100
    image[x**2 + y**2 < 1] = (235, 228, 225)
    away = np.hypot(rows - 192, columns - 256)
    image[(away < 92) & (x**2 + y**2 < 1)] = (90, 60, 40)
    image[away < 38] = (12, 10, 10)
    for at in rng.uniform(70, 440, 40):
        cv2.line(image, (int(at), 100), (int(at + rng.normal(0, 8)), 40), (30, 20, 15), 1)
    return cv2.GaussianBlur(image, (0, 0), 0.8).clip(0, 255).astype(np.uint8)


def document(seed: int = 0) -> np.ndarray:
    """A white page with lines of text."""
    page = np.full((512, 360, 3), 252, np.uint8)
    for row in range(30, 480, 18):
        text = f"patient {seed} and findings {row}"
        cv2.putText(page, text, (20, row), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (12, 12, 12), 1)
    return page


def tomogram(seed: int = 0) -> np.ndarray:
    """Bands of grey speckle, as optical coherence tomography gives."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:307, :512]
    top = 138 + 25 * np.sin(columns / 170) - 30 * np.exp(-(((columns - 256) / 40) ** 2))
    light = 20 + 120 * np.exp(-(((rows - top) / 15) ** 2))
    light += 150 * np.exp(-(((rows - top - 60) / 12) ** 2)) + 60 * (
        (rows > top) & (rows < top + 76)
    )
    grey = (light * rng.gamma(3, 1 / 3, light.shape)).clip(0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def vessel_mask(seed: int = 0) -> np.ndarray:
    """Drawn vessels, white on black."""
    drawn = make_phantom(seed, size=512).vessels > 0.5
    return np.repeat((255 * drawn).astype(np.uint8)[..., None], 3, axis=2)


def two_fields(seed: int = 0) -> np.ndarray:
    """Both eyes side by side in one frame."""
    return np.hstack([make_phantom(s, size=400).pixels for s in (seed, seed + 1)])


def grey(seed: int = 0) -> np.ndarray:
    """A red-free photograph: green in all channels."""
    return np.repeat(make_phantom(seed, size=400).pixels[..., 1:2], 3, axis=2)


def fogged(seed: int = 0) -> np.ndarray:
    """A field of view in which nothing but a surface is left."""
    eye = make_phantom(seed, size=400)
    surface = cv2.GaussianBlur(eye.pixels, (0, 0), 25) * 0.3 + 130
    noise = np.random.default_rng(seed).normal(0, 3, eye.pixels.shape)
    return np.where(eye.fov[..., None] > 0, surface + noise, 0).clip(0, 255).astype(np.uint8)


def black(seed: int = 0) -> np.ndarray:
    """A frame that got no light: noise alone."""
    noise = np.random.default_rng(seed).normal(2, 1.5, (400, 400, 3))
    return noise.clip(0, 255).astype(np.uint8)
