"""Read JPEG: baseline and progressive, grey, YCbCr, RGB and CMYK, 8 bits."""

from __future__ import annotations

import io
import struct
from typing import NamedTuple

import imagecodecs
import numpy as np
import simplejpeg
from PIL import Image, MpoImagePlugin

from magenet_batch.errors import ImageError
from magenet_batch.imaging.formats.base import (
    Decoded,
    check_size,
    choose_page,
    pillow_density,
    pillow_metadata,
)

_NO_LENGTH = {0x01, *range(0xD0, 0xD8)}  # TEM and RST0..7 have no length
_NOT_SOF = {0xC4, 0xC8, 0xCC}  # DHT, JPG and DAC have codes in the range of the SOFs
_SOF_LS = 0xF7
_MP_ENTRIES = 0xB002


class FrameHeader(NamedTuple):
    """Frame header of a JPEG, lossless JPEG or JPEG-LS.

    Attributes:
        marker: 0xC0 baseline, 0xC2 progressive, 0xC3 lossless, 0xF7 JPEG-LS, ...
        bits: bits per sample.
        width: width, pixels.
        height: height, pixels.
        components: 1 grey, 3 colour, 4 CMYK.
        marked: whether a JFIF or Adobe marker states the colour space.
    """

    marker: int
    bits: int
    width: int
    height: int
    components: int
    marked: bool


def frame_header(data: bytes) -> FrameHeader:
    """Find the frame header (ITU T.81, B.2.2).

    Raises:
        ImageError: `corrupt`, if there is none.
    """
    at, marked = 2, False
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _NO_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if (0xC0 <= marker <= 0xCF and marker not in _NOT_SOF) or marker == _SOF_LS:
            if at + 10 > len(data):
                break
            bits, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            return FrameHeader(marker, bits, width, height, components, marked)
        body = data[at + 4 : at + 9]
        marked = marked or (marker == 0xE0 and body == b"JFIF\0")
        marked = marked or (marker == 0xEE and body == b"Adobe")
        at += 2 + length
    raise ImageError("corrupt", "this jpeg is truncated: it has no frame header")


def decode(data: bytes, *, max_pixels: int, page: int | None) -> Decoded:
    """Read a JPEG file; of several pictures in it (MPO), the first or the requested one."""
    data, notes = tidy(data)
    with Image.open(io.BytesIO(data)) as image:
        icc, exif, orientation = pillow_metadata(image)
        density = pillow_density(image)
        starts = _pictures(image, data)
    if len(starts) > 1:
        chosen = 0 if page is None else choose_page(len(starts), page)
        if page is None:
            notes += (f"it holds {len(starts)} pictures; the first, its main one, was read",)
        if chosen:
            return decode(data[starts[chosen] :], max_pixels=max_pixels, page=None)
    header = frame_header(data)
    check_size(header.width, header.height, max_pixels=max_pixels, stored=len(data))
    return Decoded(
        decode_pixels(data, header=header), icc, exif, orientation, density=density, notes=notes
    )


def _pictures(image: Image.Image, data: bytes) -> list[int]:
    """Where the pictures of a multi-picture file start (CIPA DC-007), previews left out."""
    if not isinstance(image, MpoImagePlugin.MpoImageFile):
        return [0]
    whole, starts = frame_header(data), [0]
    for entry in image.mpinfo[_MP_ENTRIES][1:]:
        start = int(entry["DataOffset"]) + int(image.info["mpoffset"])
        try:
            other = frame_header(data[start : start + entry["Size"]])
        except ImageError:
            continue  # not a JPEG: no picture
        if (other.width, other.height) == (whole.width, whole.height):
            starts.append(start)
    return starts


def tidy(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Mend what decoders warn about in the headers of a JPEG, which holds no pixels.

    Stray bytes between segments are left out, an unknown JFIF revision becomes 1.1, and the unused
    fields of a baseline scan header get the values that the standard requires (ITU T.81, B.2.3).
    The compressed pixels stay as they are, so that damage to them is still found.

    Returns:
        The content, the same object if nothing was mended; and what was mended.
    """
    kept, notes, at, baseline = [data[:2]], [], 2, False
    while at + 4 <= len(data):
        start = data.find(b"\xff", at)
        if start < 0:
            break
        if start > at:
            notes.append(f"{start - at} stray bytes between its segments were left out")
        marker = data[start + 1] if start + 1 < len(data) else 0
        if marker in (0x00, 0xFF):
            at = start + 1
            continue
        if marker in _NO_LENGTH:
            kept.append(data[start : start + 2])
            at = start + 2
            continue
        if start + 4 > len(data):
            break
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        segment = data[start:end]
        baseline = baseline or marker in (0xC0, 0xC1)
        if marker == 0xE0 and segment[4:9] == b"JFIF\0" and segment[9:10] != b"\x01":
            segment = segment[:9] + b"\x01\x01" + segment[11:]
            notes.append("its JFIF revision is unknown")
        if marker == 0xDA:
            if baseline and segment[-3:] != b"\x00\x3f\x00":
                segment = segment[:-3] + b"\x00\x3f\x00"
                notes.append("its scan header has values that baseline JPEG does not use")
            kept += [segment, data[end:]]
            return (b"".join(kept), tuple(notes)) if notes else (data, ())
        kept.append(segment)
        at = end
    return data, ()


def decode_reduced(data: bytes, *, max_pixels: int, least: int) -> Decoded:
    """Read a JPEG file at some eighths of its size, to measure it.

    Everything is decoded except for the last step, the inverse transform of each block, which gives
    fewer pixels (libjpeg's scaling): damage is detected as by `decode`.

    Args:
        data: content of the file.
        max_pixels: maximum number of pixels at full size.
        least: minimum length of the shorter side, pixels, unless the image is smaller.

    Raises:
        ImageError: as `decode`.
    """
    data, _ = tidy(data)
    header = frame_header(data)
    if header.components not in (1, 3) or header.bits != 8 or min(header[2:4]) < 2 * least:
        return decode(data, max_pixels=max_pixels, page=None)
    check_size(header.width, header.height, max_pixels=max_pixels, stored=len(data))
    _refuse_unread(header)
    with Image.open(io.BytesIO(data)) as image:
        _, _, orientation = pillow_metadata(image)
    pixels = simplejpeg.decode_jpeg(
        data, colorspace="GRAY" if header.components == 1 else "RGB", strict=True,
        min_height=least, min_width=least, min_factor=1,
    )  # fmt: skip
    return Decoded(
        np.asarray(pixels), orientation=orientation, full_size=(header.width, header.height)
    )


def _refuse_unread(header: FrameHeader) -> None:
    if header.bits != 8 or header.marker not in (0xC0, 0xC1, 0xC2):
        raise ImageError(
            "unsupported",
            f"JPEG of {header.bits} bits and kind {header.marker:#x} is not supported: "
            "convert it to PNG or TIFF",
        )


def decode_pixels(data: bytes, *, header: FrameHeader, unmarked_is_rgb: bool = False) -> np.ndarray:
    """Decode the pixels strictly: damage that a decoder could hide is an error.

    Args:
        data: a JPEG whose size has been checked.
        header: its frame header.
        unmarked_is_rgb: treat colours without a marker as RGB, as DICOM can state; else as YCbCr.

    Returns:
        `(H, W, 3)` or, for one component, `(H, W, 1)`; uint8.

    Raises:
        ImageError: `unsupported`, for 12 bits and for lossless JPEG.
    """
    _refuse_unread(header)
    if header.components == 4:
        simplejpeg.decode_jpeg(data, colorspace="CMYK", strict=True)  # Pillow is not strict
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    colours = "GRAY" if header.components == 1 else "RGB"
    pixels = simplejpeg.decode_jpeg(data, colorspace=colours, strict=True)
    if unmarked_is_rgb and header.components == 3 and not header.marked:
        return np.asarray(imagecodecs.jpeg8_decode(data, colorspace="RGB", outcolorspace="RGB"))
    return np.asarray(pixels)
