"""Read TIFF: strips and tiles, classic and BigTIFF, 8 and 16 bits, all common compressions."""

from __future__ import annotations

import io
import logging
import struct

import numpy as np
import tifffile
from PIL import Image

from magenet_batch.errors import ImageError
from magenet_batch.imaging.formats import jpeg
from magenet_batch.imaging.formats.base import (
    Decoded,
    check_size,
    choose_page,
    full_range,
    plausible_density,
)
from magenet_batch.imaging.formats.jpeg_segments import frame_header, tidy

# tifffile logs a line for every damaged tag; a file's problem is reported once, in its row.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)

_MOST_PAGES = 4096
_MOST_STRIPS = 1 << 20
_ICC, _ORIENTATION = 34675, 274
_X_RESOLUTION, _Y_RESOLUTION, _UNIT = 282, 283, 296
_BESIDE = 1 | 4  # reduced images and masks (TIFF 6.0, NewSubfileType)
_KINDS = tifffile.PHOTOMETRIC
_WAYS = tifffile.COMPRESSION
_COMPRESSIONS = {
    _WAYS.NONE, _WAYS.LZW, _WAYS.JPEG, _WAYS.ADOBE_DEFLATE, _WAYS.DEFLATE, _WAYS.PACKBITS,
    _WAYS.LZMA, _WAYS.ZSTD,
}  # fmt: skip
CARRIED_TEXT = (270, 271, 272, 306, 315, 33432)
"""Description, maker, model, date, artist and copyright: the same tags in TIFF and EXIF."""


def decode(data: bytes, *, max_pixels: int, page: int | None) -> Decoded:
    """Read a TIFF file."""
    _check_directories(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        pictures = [p for p in file.pages if not int(getattr(p, "subfiletype", 0)) & _BESIDE]
        pages = pictures or list(file.pages)
        chosen = pages[choose_page(len(pages), page)].aspage()
        check_size(
            chosen.imagewidth, chosen.imagelength, max_pixels=max_pixels, stored=len(data)
        )  # fmt: skip
        _check_layout(chosen, max_pixels)
        _check_strips(chosen, data)
        _check_colours(chosen)
        _refuse_hidden(file, chosen)
        bits = int(chosen.bitspersample)
        pixels, notes = _without_extra(chosen, _coloured(chosen, chosen.asarray(), bits))
        bits = 8 if chosen.photometric == _KINDS.PALETTE else bits
        icc = chosen.tags.valueof(_ICC)
        orientation = int(chosen.tags.valueof(_ORIENTATION) or 1)
        return Decoded(
            pixels, bytes(icc) if icc else None, _exif(chosen), orientation,
            bit_depth=bits, density=_density(chosen), notes=notes,
        )  # fmt: skip


def _refuse_hidden(file: tifffile.TiffFile, page: tifffile.TiffPage) -> None:
    """Refuse pictures that share one directory, as ImageJ stores large stacks."""
    if len(file.pages) != 1 or file.is_ome:
        return
    try:
        size = file.series[0].size
    except Exception:  # the description is damaged, not the picture
        return
    if size > page.size:
        raise ImageError(
            "unsupported",
            f"it holds {size // page.size} pictures in one directory: save them as pages",
        )


def _density(page: tifffile.TiffPage) -> tuple[float, float] | None:
    """Dots per inch (TIFF 6.0, XResolution and ResolutionUnit)."""
    unit = page.tags.valueof(_UNIT)  # the enum of tifffile is false where it says "none"
    per_inch = {2: 1.0, 3: 2.54}.get(2 if unit is None else int(unit))
    found = [page.tags.valueof(tag) for tag in (_X_RESOLUTION, _Y_RESOLUTION)]
    if per_inch is None or not all(isinstance(v, tuple) and len(v) == 2 and v[1] for v in found):
        return None
    across, down = (v[0] / v[1] * per_inch for v in found)
    return plausible_density(across, down)


def _without_extra(
    page: tifffile.TiffPage, pixels: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Keep colours, and alpha if it is one that colours have not been multiplied by already.

    TIFF 6.0, ExtraSamples: 0 unspecified data, such as infrared; 1 alpha, colours multiplied by it,
    which over black is the picture itself; 2 alpha alone.
    """
    colours = 1 if page.photometric in (_KINDS.MINISBLACK, _KINDS.MINISWHITE) else 3
    samples = page.samplesperpixel
    if page.photometric == _KINDS.PALETTE or pixels.ndim == 2 or samples == colours:
        return pixels, ()
    kinds = tuple(int(kind) for kind in page.extrasamples)
    if samples == colours + 1 and kinds == (2,):
        return pixels, ()
    if 2 in kinds:
        alpha = colours + kinds.index(2)
        pixels = np.concatenate([pixels[..., :colours], pixels[..., alpha : alpha + 1]], axis=2)
    else:
        pixels = pixels[..., :colours]
    ignored = samples - colours - (1 in kinds or 2 in kinds)
    channels = "extra channel was" if ignored == 1 else "extra channels were"
    return pixels, (f"{ignored} {channels} ignored",) if ignored else ()


def _coloured(page: tifffile.TiffPage, pixels: np.ndarray, bits: int) -> np.ndarray:
    """Convert stored samples to grey or RGB over their full range, channels last."""
    if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, -1)
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
        # Entries are 8-bit colours in the upper half of 16 bits, whatever the lower half holds.
        result: np.ndarray = (np.moveaxis(page.colormap, 0, -1) >> 8).astype(np.uint8)[pixels]
        return result
    pixels = full_range(pixels, bits=bits)
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        grey = pixels if pixels.ndim == 2 else pixels[..., :1]  # what follows is not a colour
        np.subtract(np.iinfo(pixels.dtype).max, grey, out=grey)
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
    if page.dtype is None:
        raise ImageError("unsupported", f"TIFF of {page.bitspersample} bits is not supported")
    if page.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            "unsupported", f"pixels of type {page.dtype} are not supported; uint8 and uint16 are"
        )
    if page.compression not in _COMPRESSIONS:
        name = getattr(page.compression, "name", str(page.compression))
        raise ImageError("unsupported", f"TIFF compressed with {name} is not supported")
    if len(set(np.atleast_1d(page.bitspersample).tolist())) > 1:
        raise ImageError("unsupported", "channels of different bit depths are not supported")
    if not 1 <= page.samplesperpixel <= 8 or page.imagedepth != 1:
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
    if page.compression == _WAYS.JPEG:
        read.add(kinds.YCBCR)
    if page.photometric not in read:
        name = getattr(page.photometric, "name", str(page.photometric))
        raise ImageError("unsupported", f"TIFF colours {name} are not supported: convert it to RGB")
    if page.photometric == kinds.PALETTE and page.colormap is None:
        raise ImageError("corrupt", "its palette is missing")
    if page.photometric == kinds.RGB and page.samplesperpixel < 3:
        raise ImageError("corrupt", f"RGB with {page.samplesperpixel} samples per pixel")


def _check_strips(page: tifffile.TiffPage, data: bytes) -> None:
    """Check that all strips or tiles of pixels are there, inside the file, and whole.

    tifffile leaves out those without offset or length, and its JPEG decoder fills what is missing
    with grey.
    """
    if len(page.dataoffsets) > _MOST_STRIPS:
        raise ImageError("corrupt", f"its header states {len(page.dataoffsets)} strips or tiles")
    for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True):
        if offset + length > len(data):
            raise ImageError("corrupt", "this tiff is truncated: its pixels extend beyond its end")
        if not offset or not (length or page.is_contiguous):
            raise ImageError("corrupt", "this tiff is incomplete: strips or tiles are missing")
        if page.compression == _WAYS.JPEG:
            _check_jpeg(page, data[offset : offset + length])


def _check_jpeg(page: tifffile.TiffPage, strip: bytes) -> None:
    """Decode a JPEG strip or tile strictly, with the tables of all (TIFF Technical Note 2)."""
    tables = (page.jpegtables or b"")[2:-2]
    strip, _ = tidy(strip[:2] + tables + strip[2:])
    jpeg.decode_pixels(strip, header=frame_header(strip))


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
