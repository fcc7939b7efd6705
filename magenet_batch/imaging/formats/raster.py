"""Read PNG, BMP and WebP."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
from PIL import Image

from magenet_batch.errors import ImageError
from magenet_batch.imaging.formats.base import Decoded, check_size, choose_page, pillow_metadata

Image.MAX_IMAGE_PIXELS = None  # our own limit comes first, and gives a reason


def decode_png(data: bytes, *, max_pixels: int, page: int | None) -> Decoded:
    """Read a PNG: 8 and 16 bits, grey, RGB, palette, alpha."""
    if b"IEND" not in data:
        raise ImageError("corrupt", "this png is truncated: its end mark is missing")
    with Image.open(io.BytesIO(data)) as image:
        check_size(*image.size, max_pixels=max_pixels, stored=len(data))
        icc, exif, orientation = pillow_metadata(image)
        if image.mode == "P":
            return Decoded(np.asarray(image.convert("RGBA")), icc, exif, orientation)
    return Decoded(imagecodecs.png_decode(data), icc, exif, orientation)


def decode_other(data: bytes, *, max_pixels: int, page: int | None) -> Decoded:
    """Read a BMP or WebP file; of an animation, the requested page."""
    with Image.open(io.BytesIO(data)) as image:
        check_size(*image.size, max_pixels=max_pixels, stored=len(data))
        index = choose_page(getattr(image, "n_frames", 1), page)
        if index:
            image.seek(index)
        icc, exif, orientation = pillow_metadata(image)
        mode = "RGBA" if image.has_transparency_data else "RGB"
        return Decoded(np.asarray(image.convert(mode)), icc, exif, orientation)
