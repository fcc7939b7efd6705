"""Read PNG, BMP and WebP."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
from PIL import Image

from magenet_batch.errors import ImageError
from magenet_batch.imaging.formats.base import (
    Decoded,
    check_size,
    choose_page,
    pillow_density,
    pillow_metadata,
)

Image.MAX_IMAGE_PIXELS = None  # our own limit comes first, and gives a reason


def decode_png(data: bytes, *, max_pixels: int, page: int | None) -> Decoded:
    """Read a PNG: 8 and 16 bits, grey, RGB, palette, alpha."""
    if b"IEND" not in data:
        raise ImageError("corrupt", "this png is truncated: its end mark is missing")
    with Image.open(io.BytesIO(data)) as image:
        check_size(*image.size, max_pixels=max_pixels, stored=len(data))
        icc, exif, orientation = pillow_metadata(image)
        density, gamma = pillow_density(image), _gamma(image)
        frames = int(getattr(image, "n_frames", 1))
        index = choose_page(frames, page)
        if index:  # frame 0 is what a reader without animations shows
            if data[24] == 16:
                raise ImageError("unsupported", "later pages of a 16-bit PNG are not supported")
            image.seek(index)
        if index or image.mode == "P":
            pixels = np.asarray(image.convert("RGBA"))
        else:
            pixels = imagecodecs.png_decode(data)
    return Decoded(pixels, icc, exif, orientation, density=density, gamma=gamma)


def _gamma(image: Image.Image) -> float | None:
    """Exponent in a `gAMA` chunk; a colour profile or an `sRGB` chunk overrides it."""
    gamma = image.info.get("gamma")
    if not gamma or "icc_profile" in image.info or "srgb" in image.info:
        return None
    return float(gamma)


def decode_other(data: bytes, *, max_pixels: int, page: int | None) -> Decoded:
    """Read a BMP or WebP file; of an animation, the requested page."""
    with Image.open(io.BytesIO(data)) as image:
        check_size(*image.size, max_pixels=max_pixels, stored=len(data))
        index = choose_page(getattr(image, "n_frames", 1), page)
        if index:
            image.seek(index)
        icc, exif, orientation = pillow_metadata(image)
        density = pillow_density(image)
        mode = "RGBA" if image.has_transparency_data else "RGB"
        return Decoded(np.asarray(image.convert(mode)), icc, exif, orientation, density=density)
