"""Read TIFF: strips and tiles, classic and BigTIFF, 8 and 16 bits, all common compressions."""

from __future__ import annotations

import io
import logging
import struct

import numpy as np
import tifffile
from PIL import Image

from magenet_batch.errors import ImageError
from magenet_batch.imaging.formats.base import Decoded, check_size, choose_page

# tifffile logs a line for every damaged tag; a file's problem is reported once, in its row.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)

_MOST_PAGES = 4096
_MOST_STRIPS = 1 << 20
_ICC, _ORIENTATION = 34675, 274
CARRIED_TEXT = (270, 271, 272, 306, 315, 33432)
"""Description, maker, model, date, artist and copyright: the same tags in TIFF and EXIF."""


def decode(data: bytes, *, max_pixels: int, page: int | None) -> Decoded:
    """Read a TIFF file."""
    _check_directories(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        pages = [p for p in file.pages if not int(getattr(p, "subfiletype", 0)) & 1]
        chosen = pages[choose_page(len(pages), page)].aspage()
        check_size(
            chosen.imagewidth, chosen.imagelength, max_pixels=max_pixels, stored=len(data)
        )  # fmt: skip
        _check_layout(chosen, max_pixels)
        _check_strips(chosen, len(data))
        _check_colours(chosen)
        pixels = _coloured(chosen, chosen.asarray())
        icc = chosen.tags.valueof(_ICC)
        orientation = int(chosen.tags.valueof(_ORIENTATION) or 1)
        return Decoded(pixels, bytes(icc) if icc else None, _exif(chosen), orientation)


def _coloured(page: tifffile.TiffPage, pixels: np.ndarray) -> np.ndarray:
    """Convert stored samples to grey or RGB, channels last."""
    if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, -1)
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
        # Entries are 8-bit colours in the upper half of 16 bits, whatever the lower half holds.
        result: np.ndarray = (np.moveaxis(page.colormap, 0, -1) >> 8).astype(np.uint8)[pixels]
        return result
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        return np.iinfo(pixels.dtype).max - pixels
    return pixels


def _check_directories(data: bytes) -> None:
    """Follow the chain of TIFF directories to its end, which tifffile does not enforce."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\x00", b"\x00+")
    count_kind, entry, pointer = ("Q", 20, "Q") if big else ("H", 12, "I")
    (offset,) = struct.unpack_from(order + pointer, data, 8 if big else 4)
    seen: set[int] = set()
    while offset:
        if offset in seen or offset + 2 > len(data) or len(seen) > _MOST_PAGES:
            raise ImageError("corrupt", "this tiff is truncated or its list of pages is damaged")
        seen.add(offset)
        (entries,) = struct.unpack_from(order + count_kind, data, offset)
        link = offset + struct.calcsize(count_kind) + entries * entry
        (offset,) = struct.unpack_from(order + pointer, data, link)


def _check_layout(page: tifffile.TiffPage, max_pixels: int) -> None:
    """Refuse unsupported samples and absurd tile sizes before memory is allocated."""
    if page.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            "unsupported", f"pixels of type {page.dtype} are not supported; uint8 and uint16 are"
        )
    if not 1 <= page.samplesperpixel <= 4 or page.imagedepth != 1:
        raise ImageError(
            "unsupported",
            f"{page.samplesperpixel} samples per pixel, depth {page.imagedepth} are not supported",
        )
    if page.is_tiled:
        most = min(max_pixels, 4 * page.imagewidth * page.imagelength + (1 << 24))
        if page.tiledepth != 1 or page.tilewidth * page.tilelength > most:
            raise ImageError("corrupt", "its tiles are far larger than the image")


def _check_colours(page: tifffile.TiffPage) -> None:
    """Refuse colours that would be wrong if they were read as RGB.

    YCbCr is read only from JPEG strips, whose decoder gives RGB.
    """
    kinds = tifffile.PHOTOMETRIC
    read = {kinds.MINISWHITE, kinds.MINISBLACK, kinds.RGB, kinds.PALETTE}
    if page.compression == tifffile.COMPRESSION.JPEG:
        read.add(kinds.YCBCR)
    if page.photometric not in read:
        name = getattr(page.photometric, "name", str(page.photometric))
        raise ImageError("unsupported", f"TIFF colours {name} are not supported: convert it to RGB")


def _check_strips(page: tifffile.TiffPage, size: int) -> None:
    """Check that all strips or tiles of pixels lie inside the file.

    Decoders of compressed strips would fill the missing part with grey.
    """
    if len(page.dataoffsets) > _MOST_STRIPS:
        raise ImageError("corrupt", f"its header states {len(page.dataoffsets)} strips or tiles")
    for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True):
        if offset + length > size:
            raise ImageError("corrupt", "this tiff is truncated: its pixels extend beyond its end")


def _exif(page: tifffile.TiffPage) -> bytes | None:
    """Pack the tags that describe the origin of the image into an EXIF block."""
    block = Image.Exif()
    for tag in CARRIED_TEXT:
        text = page.tags.valueof(tag)
        if isinstance(text, str) and text:
            block[tag] = text
    try:
        return block.tobytes() if block else None
    except (ValueError, TypeError, OSError, struct.error):
        return None  # damaged tags are no reason to refuse the image
