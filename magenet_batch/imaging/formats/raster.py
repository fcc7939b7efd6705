"""Read PNG, BMP and WebP."""

from __future__ import annotations

import io
import warnings

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

_ANIMATION = frozenset((b"acTL", b"fcTL", b"fdAT"))
_TEXTS = frozenset((b"tEXt", b"zTXt", b"iTXt"))
_UNREAD = "Unsupported BMP"
# Pillow warns about damage beside the pixels; a file's problem is reported once, in its row.
warnings.filterwarnings("ignore", module=r"PIL\b")
Image.MAX_IMAGE_PIXELS = None  # our own limit comes first, and gives a reason


def decode_png(data: bytes, *, max_pixels: int, page: int | None) -> Decoded:
    """Read a PNG: 8 and 16 bits, grey, RGB, palette, alpha."""
    if b"IEND" not in data:
        raise ImageError("corrupt", "this png is truncated: its end mark is missing")
    if b"IDAT" not in data:
        raise ImageError("corrupt", "this png is damaged: its pixels are missing")
    image, notes = _opened_png(data)
    with image:
        check_size(*image.size, max_pixels=max_pixels, stored=len(data))
        icc, exif, orientation = pillow_metadata(image)
        density, gamma = pillow_density(image), _gamma(image)
        damaged = _damaged_animation(data)
        frames = 1 if damaged else int(getattr(image, "n_frames", 1))
        index = choose_page(frames, page)
        if index:  # frame 0 is what a reader without animations shows
            if data[24] == 16:
                raise ImageError("unsupported", "later pages of a 16-bit PNG are not supported")
            image.seek(index)
        if index or image.mode == "P":
            pixels = np.asarray(image.convert("RGBA"))
        else:
            pixels = imagecodecs.png_decode(without_chunks(data, _ANIMATION))
    return Decoded(
        pixels, icc, exif, orientation, density=density, gamma=gamma, notes=notes + damaged
    )


def _opened_png(data: bytes) -> tuple[Image.Image, tuple[str, ...]]:
    """Open a PNG for its metadata; texts that Pillow refuses are left out, with a note."""
    try:
        return Image.open(io.BytesIO(data)), ()
    except ValueError as error:
        bare = without_chunks(data, _TEXTS)
        if "too large" not in str(error) or len(bare) == len(data):
            raise
    return Image.open(io.BytesIO(bare)), ("its texts are too long and were ignored",)


def without_chunks(data: bytes, kinds: frozenset[bytes]) -> bytes:
    """Leave out some kinds of chunks of a PNG (ISO/IEC 15948, 5.3)."""
    kept, at = [data[:8]], 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] not in kinds:
            kept.append(data[at:end])
        at = end
    return b"".join([*kept, data[at:]])


def _damaged_animation(data: bytes) -> tuple[str, ...]:
    """A note if a file states an impossible number of frames: its picture is shown instead."""
    at = data.find(b"acTL", 0, data.find(b"IDAT"))
    frames = int.from_bytes(data[at + 4 : at + 8], "big") if at >= 0 else 1
    return () if 1 <= frames < 1 << 31 else ("its animation is damaged and was ignored",)


def _gamma(image: Image.Image) -> float | None:
    """Exponent in a `gAMA` chunk; a colour profile or an `sRGB` chunk overrides it."""
    gamma = image.info.get("gamma")
    if not gamma or "icc_profile" in image.info or "srgb" in image.info:
        return None
    return float(gamma)


def decode_other(data: bytes, *, max_pixels: int, page: int | None) -> Decoded:
    """Read a BMP or WebP file; of an animation, the requested page."""
    try:
        opened = Image.open(io.BytesIO(data))
    except OSError as error:
        if not str(error).startswith(_UNREAD):
            raise
        said = str(error).removeprefix(_UNREAD).strip()
        raise ImageError("unsupported", f"BMP of this {said} is not supported") from error
    with opened as image:
        check_size(*image.size, max_pixels=max_pixels, stored=len(data))
        index = choose_page(getattr(image, "n_frames", 1), page)
        if index:
            image.seek(index)
        icc, exif, orientation = pillow_metadata(image)
        density = pillow_density(image)
        mode = "RGBA" if image.has_transparency_data else "RGB"
        return Decoded(np.asarray(image.convert(mode)), icc, exif, orientation, density=density)
