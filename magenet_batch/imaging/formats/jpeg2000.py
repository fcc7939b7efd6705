"""Read JPEG 2000: JP2 files and bare codestreams, lossless and lossy, up to 16 bits."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import imagecodecs
import numpy as np

from magenet_batch.errors import ImageError
from magenet_batch.imaging.formats.base import Decoded, check_size, full_range

CODESTREAM = b"\xff\x4f\xff\x51"
_SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_MOST_TILES = 16_384  # the decoder allocates several kilobytes for each before it reads one
_SYCC = 18


class Box(NamedTuple):
    """A box of a JP2 file: kind, start, and start and end of its content."""

    kind: bytes
    begin: int
    start: int
    end: int


class Header(NamedTuple):
    """Header of a codestream.

    Attributes:
        width: width, pixels.
        height: height, pixels.
        components: number of channels.
        bits: bits per sample.
        mixed: whether RGB is stored as luminance and chrominance, which the decoder undoes.
    """

    width: int
    height: int
    components: int
    bits: int
    mixed: bool


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Yield the boxes between two positions of a JP2 file (ISO/IEC 15444-1, annex I.4).

    Raises:
        ImageError: `corrupt`, if a box extends beyond the end.
    """
    end = len(data) if end is None else end
    while start + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if length == 1 and start + 16 <= end:
            (length,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        last = end if length == 0 else start + length
        if last > end or last < start + head:
            raise ImageError("corrupt", "this JPEG 2000 file is truncated or damaged")
        yield Box(kind, start, start + head, last)
        start = last


def codestream_header(data: bytes, start: int = 0) -> Header:
    """Read the codestream header, and refuse what the decoder cannot handle safely (annex A.5).

    Raises:
        ImageError: `corrupt` or `unsupported`.
    """
    if data[start : start + 4] != CODESTREAM or start + 42 > len(data):
        raise ImageError("corrupt", "this JPEG 2000 file has no header of its pixels")
    length, _, x1, y1, x0, y0, tile_w, tile_h, tile_x, tile_y, count = struct.unpack_from(
        ">HHIIIIIIIIH", data, start + 4
    )
    samples = data[start + 42 : start + 42 + 3 * count]
    if not count or len(samples) < 3 * count or not tile_w or not tile_h or x1 <= x0 or y1 <= y0:
        raise ImageError("corrupt", "this JPEG 2000 file has a damaged header")
    depths, steps = set(samples[::3]), set(samples[1::3]) | set(samples[2::3])
    bits = samples[0] + 1
    if count > 4 or len(depths) != 1 or steps != {1} or not 8 <= bits <= 16:
        raise ImageError(
            "unsupported",
            "this JPEG 2000 is not supported: its channels are signed, subsampled, of unequal "
            "depth, not of 8 to 16 bits, or more than four",
        )
    tiles = -(-(x1 - tile_x) // tile_w) * -(-(y1 - tile_y) // tile_h)
    if not 1 <= tiles <= _MOST_TILES:
        raise ImageError("corrupt", f"its header states {tiles} tiles")
    at = start + 4 + length
    mixed = data[at : at + 2] == b"\xff\x52" and data[at + 8 : at + 9] == b"\x01"
    return Header(x1 - x0, y1 - y0, count, bits, mixed)


def decode(data: bytes, *, max_pixels: int, page: int | None) -> Decoded:
    """Read a JP2 file or a codestream."""
    icc, start = (None, 0) if data[:4] == CODESTREAM else _container(data)
    header = codestream_header(data, start)
    check_size(header.width, header.height, max_pixels=max_pixels, stored=len(data))
    return Decoded(decode_pixels(data, header=header), icc, bit_depth=header.bits)


def decode_pixels(data: bytes, *, header: Header) -> np.ndarray:
    """Decode the samples over the full range of 8 or 16 bits.

    Returns:
        `(H, W)` or `(H, W, components)`, uint8 or uint16.
    """
    return full_range(np.asarray(imagecodecs.jpeg2k_decode(data)), bits=header.bits)


def _container(data: bytes) -> tuple[bytes | None, int]:
    """Find the colour profile of a JP2 file and the start of its codestream."""
    if data[:12] != _SIGNATURE:
        raise ImageError("corrupt", "this JPEG 2000 file has a damaged signature")
    icc: bytes | None = None
    for box in boxes(data):
        if box.kind == b"jp2c":
            return icc, box.start
        if box.kind == b"jp2h":
            icc = _colour_profile(data, box)
    raise ImageError("corrupt", "this JPEG 2000 file is truncated: it has no pixels")


def _colour_profile(data: bytes, header: Box) -> bytes | None:
    for box in boxes(data, header.start, header.end):
        if box.kind == b"pclr":
            raise ImageError("unsupported", "JPEG 2000 with a palette is not supported")
        if box.kind == b"colr":
            method, space = data[box.start : box.start + 1], data[box.start + 3 : box.start + 7]
            if method == b"\x02":
                return data[box.start + 3 : box.end]
            if method == b"\x01" and int.from_bytes(space, "big") == _SYCC:
                raise ImageError("unsupported", "JPEG 2000 in YCC colours is not supported")
    return None
