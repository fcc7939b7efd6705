"""Shared by the readers of all formats: their result, and limits that apply before decoding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from magenet_batch.errors import ImageError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PIXELS_PER_BYTE = 1024
"""Maximum pixels per byte of a plausible photograph. A Huffman-coded JPEG spends at least one bit
on each block of 8 x 8 (512 pixels per byte; ITU T.81, F.1.2.1), and deflate compresses by at most
1032:1 (zlib manual). Other codecs have no such bound, but the noise of a photograph sets one: real
ones have 3 to 20 pixels per byte."""
ALWAYS_ALLOWED = 4_000_000
"""Up to this many pixels an image costs so little memory that it is never refused for compact
storage."""

_ORIENTATION = 0x0112
_ACROSS, _DOWN, _UNIT = 0x011A, 0x011B, 0x0128
_PER_INCH_JFIF = {1: 1.0, 2: 2.54}
_PER_INCH_TIFF = {2: 1.0, 3: 2.54}


@dataclass(frozen=True)
class Decoded:
    """Result of a decoder.

    Attributes:
        pixels: `(H, W)` or `(H, W, 1..4)`: grey, grey and alpha, RGB or RGBA; uint8 or uint16, over
            the full range of the dtype.
        icc: colour profile, or None.
        exif: EXIF block without orientation, or None.
        orientation: EXIF orientation that still has to be undone, 1..8.
        bit_depth: stored bits per channel; None if the dtype tells.
        dataset: data set of a DICOM file, without its pixels.
        full_size: stored width and height, if fewer pixels were decoded.
        density: horizontal and vertical dots per inch, or None.
        gamma: exponent of a PNG's `gAMA` chunk, 1.0 for linear values; None without one.
        frame: which frame of a DICOM file with several it is, from 1; else None.
        notes: what was unusual about the file without changing its pixels, one sentence each.
    """

    pixels: np.ndarray
    icc: bytes | None = None
    exif: bytes | None = None
    orientation: int = 1
    bit_depth: int | None = None
    dataset: Dataset | None = None
    full_size: tuple[int, int] | None = None
    density: tuple[float, float] | None = None
    gamma: float | None = None
    frame: int | None = None
    notes: tuple[str, ...] = ()


def check_size(width: int, height: int, *, max_pixels: int, stored: int) -> None:
    """Refuse an image by the size in its header, before anything is decoded.

    Args:
        width: width in the header, pixels.
        height: height in the header, pixels.
        max_pixels: maximum number of pixels.
        stored: number of bytes that hold the pixels; a header that claims far more pixels than they
            can hold is damaged, or the file is a decompression bomb.

    Raises:
        ImageError: `corrupt` or `too_large`.
    """
    if width < 1 or height < 1:
        raise ImageError("corrupt", f"its header states {width} x {height} pixels")
    pixels = width * height
    if pixels > max_pixels:
        raise ImageError(
            "too_large",
            f"{width} x {height} pixels are more than the limit of {max_pixels / 1e6:.0f} million",
        )
    if pixels > max(ALWAYS_ALLOWED, PIXELS_PER_BYTE * stored):
        raise ImageError(
            "corrupt",
            f"its header states {width} x {height} pixels, more than {stored} bytes of a "
            "photograph can hold: it is truncated, damaged, or a decompression bomb",
        )


def choose_page(count: int, page: int | None) -> int:
    """Choose which of several pages or frames to read; returns an index from 0.

    Args:
        count: number of pages in the file.
        page: requested page, from 1; None if none was requested. A single page is always read.

    Raises:
        ImageError: `unsupported`, if there are several pages and none or a missing one was
            requested.
    """
    if count < 1:
        raise ImageError("corrupt", "it holds no image")
    if count == 1:
        return 0
    if page is None:
        raise ImageError(
            "unsupported", f"it holds {count} pages: choose one with --page, starting at 1"
        )
    if page > count:
        raise ImageError("unsupported", f"it holds {count} pages; page {page} does not exist")
    return page - 1


def pillow_metadata(image: Image.Image) -> tuple[bytes | None, bytes | None, int]:
    """Colour profile, EXIF block without orientation, and the orientation."""
    icc = image.info.get("icc_profile") or None
    try:
        exif = image.getexif()
        orientation = int(exif.get(_ORIENTATION, 1))
        if not exif:
            return icc, None, 1
        exif[_ORIENTATION] = 1
        return icc, exif.tobytes(), orientation
    except (ValueError, TypeError, KeyError, OSError, SyntaxError, UnidentifiedImageError):
        return icc, None, 1  # a broken EXIF block is no reason to refuse the image


def pillow_density(image: Image.Image) -> tuple[float, float] | None:
    """Dots per inch of an image; None if it states none that makes sense."""
    try:
        if "jfif_density" in image.info or image.format in ("JPEG", "MPO"):
            return _jpeg_density(image)
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OSError, SyntaxError):
        return None
    return plausible_density(across, down)


def _jpeg_density(image: Image.Image) -> tuple[float, float] | None:
    """Density in a JFIF marker or else in EXIF; Pillow's own `dpi` invents 72 where none is."""
    per_inch = _PER_INCH_JFIF.get(image.info.get("jfif_unit", 0))
    if per_inch is not None:
        across, down = image.info["jfif_density"]
        return plausible_density(across * per_inch, down * per_inch)
    exif = image.getexif()
    per_inch = _PER_INCH_TIFF[exif.get(_UNIT, 2)]
    return plausible_density(float(exif[_ACROSS]) * per_inch, float(exif[_DOWN]) * per_inch)


def plausible_density(across: float, down: float) -> tuple[float, float] | None:
    """Dots per inch, or None if no scanner or printer has so few or many."""
    return (across, down) if _plausible(across) and _plausible(down) else None


def _plausible(value: float) -> bool:
    return math.isfinite(value) and 1 < value < 65_536


def full_range(values: np.ndarray, *, bits: int) -> np.ndarray:
    """Scale samples of some bit depth to the full range of 8 or 16 bits.

    Args:
        values: unsigned integers below `2 ** bits`.
        bits: bit depth, 1..16.

    Returns:
        uint8 up to 8 bits, else uint16; `to_bits` is the exact inverse.
    """
    dtype, whole = (np.uint8, 255) if bits <= 8 else (np.uint16, 65535)
    most = (1 << bits) - 1
    if most == whole:
        return values.astype(dtype, copy=False)
    return ((values.astype(np.uint32) * whole + most // 2) // most).astype(dtype)


def to_bits(pixels: np.ndarray, *, bits: int) -> np.ndarray:
    """Scale full-range samples to some bit depth, rounding: the inverse of `full_range`."""
    whole, most = int(np.iinfo(pixels.dtype).max), (1 << bits) - 1
    if most == whole:
        return pixels
    return ((pixels.astype(np.uint32) * most + whole // 2) // whole).astype(pixels.dtype)


def as_rgb(pixels: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Convert grey, grey with alpha, RGB or RGBA to RGB; transparent pixels become black.

    An alpha channel that is 0 everywhere is ignored: it was never filled in.

    Returns:
        `(H, W, 3)`, and what was unusual.

    Raises:
        ImageError: `unsupported`, for other dtypes and shapes.
    """
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            "unsupported", f"pixels of type {pixels.dtype} are not supported; uint8 and uint16 are"
        )
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4):
        raise ImageError("unsupported", f"an image of shape {pixels.shape} is not supported")
    notes: tuple[str, ...] = ()
    if pixels.shape[2] in (2, 4):
        full = np.iinfo(pixels.dtype).max
        alpha = pixels[..., -1:]
        pixels = pixels[..., :-1]
        if not alpha.any():
            notes = ("its alpha channel is 0 everywhere and was ignored",)
        elif (alpha != full).any():
            pixels = (pixels.astype(np.uint32) * alpha // full).astype(pixels.dtype)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels), notes


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo EXIF orientation 1..8; other values count as 1."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
