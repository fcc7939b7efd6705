"""Convert images as Python users have them (paths, PIL images, arrays) to pixels and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from magenet_batch.errors import ImageError, InputError
from magenet_batch.imaging.read import FundusImage, read_image

if TYPE_CHECKING:
    from typing import TypeAlias

    from PIL.Image import Image

    ImageInput: TypeAlias = str | Path | FundusImage | Image | np.ndarray
    """Everything that the Python API accepts as an image."""

_ACCEPTED = (
    "Give a path, a PIL image (RGB, L, I;16 or P), what read_image returned, or a NumPy array: "
    "uint8, uint16 or floats from 0 to 1, grey (H, W) or (H, W, 1), or RGB (H, W, 3)."
)
_PIL_MODES = ("RGB", "L", "I;16", "I;16L", "I;16B", "I;16N")
_PIL_WIDE = ("I", "F")
"""Modes that Pillow converts to RGB by clipping, which spoils them."""


@dataclass(frozen=True)
class GivenImage:
    """An image in the form that the package works with, and the way back.

    Attributes:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        original: the array as it was given or read.
    """

    pixels: np.ndarray
    original: np.ndarray

    def like_original(self, pixels: np.ndarray) -> np.ndarray:
        """Convert pixels to the shape and dtype of the original.

        Args:
            pixels: (H, W, 3), dtype of `self.pixels`.

        Returns:
            An array like the original. Floats that did not change are returned bit for bit; grey is
            the mean of the three channels.
        """
        original = self.original
        floats = np.issubdtype(original.dtype, np.floating)
        changed = pixels != self.pixels
        if original.ndim == 2 or original.shape[2] == 1:
            mean = pixels.astype(np.float64).mean(axis=2)
            pixels = mean if floats else np.rint(mean).astype(pixels.dtype)
            pixels, changed = pixels.reshape(original.shape), changed.any(axis=2)
            changed = changed.reshape(original.shape)
        if not floats:
            return pixels.astype(original.dtype, copy=False)
        scaled = (pixels / 65535.0).astype(original.dtype)
        return np.where(changed, scaled, original)


def given_image(image: ImageInput, *, reduced_to: int | None = None) -> GivenImage:
    """Convert an image from any accepted form.

    Args:
        image: a path, a PIL image, a NumPy array, or the result of `read_image`.
        reduced_to: allows a JPEG file to be decoded at a smaller size: see `read_image`.

    Raises:
        InputError: the input has none of these forms, or its values are not those of an image.
        ImageError: the file cannot be read.
    """
    if isinstance(image, str | Path):
        image = read_image(image, reduced_to=reduced_to)
    if isinstance(image, FundusImage):
        return GivenImage(image.pixels, image.pixels)
    if not isinstance(image, np.ndarray):
        image = _from_pil(image)
    return _from_array(image)


def _from_pil(image: Any) -> np.ndarray:
    mode = getattr(image, "mode", None)
    if not isinstance(mode, str) or not hasattr(image, "convert"):
        raise InputError(f"{type(image).__name__} is not a supported image type. {_ACCEPTED}")
    if mode == "P" and not getattr(image, "has_transparency_data", False):
        image, mode = image.convert("RGB"), "RGB"
    if mode in _PIL_WIDE:
        raise InputError(
            f"This PIL image has the mode {mode}, which does not define its range: scale "
            f"np.asarray(image) to floats from 0 to 1. {_ACCEPTED}"
        )
    if mode not in _PIL_MODES:
        raise InputError(
            f"This PIL image has the mode {mode}: convert it with image.convert('RGB'). {_ACCEPTED}"
        )
    try:
        return np.asarray(image)
    except OSError as error:  # Pillow reads pixels lazily
        raise ImageError("corrupt", f"this image cannot be decoded completely: {error}") from error


def _from_array(given: np.ndarray) -> GivenImage:
    if np.ma.is_masked(given):
        raise InputError(
            "This masked array hides some pixels: fill them with image.filled(0), or give "
            "image.data."
        )
    array = np.asarray(given)  # a matrix, for example, keeps two dimensions whatever is done
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3)):
        raise InputError(f"An array of the shape {array.shape} is not an image: {_hint(array)}")
    if not array.size:
        raise InputError(f"An array of the shape {array.shape} has no pixels.")
    pixels = _as_integers(array)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    return GivenImage(np.ascontiguousarray(pixels), array)


def _hint(array: np.ndarray) -> str:
    shape = array.shape
    if array.ndim == 3 and shape[2] in (2, 4):
        return f"drop its alpha channel with image[..., :{shape[2] - 1}]. {_ACCEPTED}"
    if array.ndim == 3 and shape[0] in (1, 3):
        return f"its channels come first; use np.moveaxis(image, 0, -1). {_ACCEPTED}"
    if array.ndim == 4:
        return f"give the images of a batch one by one. {_ACCEPTED}"
    return _ACCEPTED


def _as_integers(array: np.ndarray) -> np.ndarray:
    """Convert the values to uint8 or uint16."""
    native = array.dtype.newbyteorder("=")
    if native in (np.uint8, np.uint16):
        return array.astype(native, copy=False)
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"An array of the type {array.dtype} does not define its range: divide it by its full "
            f"scale, or convert values from 0 to 255 with image.astype(np.uint8). {_ACCEPTED}"
        )
    if not np.isfinite(array).all():
        raise InputError("The array has values that are not finite (NaN or infinity).")
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        raise InputError(
            f"Floats must be from 0 to 1; these are from {low:.9g} to {high:.9g}. Divide them by "
            "their full scale (255 for 8 bits), or clip them."
        )
    return np.rint(array.astype(np.float64) * 65535).astype(np.uint16)
