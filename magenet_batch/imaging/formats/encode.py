"""Encoders; the same pixels always give the same bytes."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from xml.sax.saxutils import escape

import cv2
import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from magenet_batch.errors import ImageError
from magenet_batch.imaging.formats.base import to_bits
from magenet_batch.imaging.formats.jpeg2000 import boxes
from magenet_batch.imaging.formats.tiff import CARRIED_TEXT
from magenet_batch.imaging.metadata import exif_block, exif_text

_LONGEST_EXIF = 65_533  # maximum bytes of one JPEG segment
_LONGEST_PNG_TEXT = 2_000


@dataclass(frozen=True)
class Tags:
    """Metadata that is written with the pixels.

    Attributes:
        software: name of the software that wrote the file.
        icc: colour profile, or None.
        exif: EXIF block of the source, or None.
        bit_depth: bit depth of the source.
        density: horizontal and vertical dots per inch, or None.
        gamma: exponent of the `gAMA` chunk of a PNG source, or None.
    """

    software: str
    icc: bytes | None = None
    exif: bytes | None = None
    bit_depth: int = 8
    density: tuple[float, float] | None = None
    gamma: float | None = None


def jpeg(pixels: np.ndarray, *, tags: Tags, quality: int) -> bytes:
    """Encode as JPEG with full-resolution chroma (4:4:4); 16 bits are reduced to the upper 8."""
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    height, width = pixels.shape[:2]
    exif = exif_block(
        tags.exif, software=tags.software, width=width, height=height, longest=_LONGEST_EXIF
    )
    density = {"dpi": tuple(map(round, tags.density))} if tags.density else {}
    out = io.BytesIO()
    Image.fromarray(pixels).save(
        out, "JPEG", quality=quality, subsampling=0, icc_profile=tags.icc, exif=exif, **density
    )
    return out.getvalue()


def png(pixels: np.ndarray, *, tags: Tags) -> bytes:
    """Encode as PNG with 8 or 16 bits."""
    done, encoded = cv2.imencode(".png", pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise ImageError("unwritable", "the PNG encoder failed")
    data = encoded.tobytes()
    text = tags.software.encode("latin-1", "replace")[:_LONGEST_PNG_TEXT]
    chunks = _chunk(b"tEXt", b"Software\x00" + text)
    if tags.icc:
        chunks = _chunk(b"iCCP", b"ICC profile\x00\x00" + zlib.compress(tags.icc, 9)) + chunks
    if tags.gamma is not None and not tags.icc:
        chunks = _chunk(b"gAMA", struct.pack(">I", round(tags.gamma * 100_000))) + chunks
    if tags.density:
        per_metre = [round(dots / 0.0254) for dots in tags.density]
        chunks += _chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1))
    if tags.exif:
        height, width = pixels.shape[:2]
        exif = exif_block(tags.exif, software=tags.software, width=width, height=height)
        chunks += _chunk(b"eXIf", exif.removeprefix(b"Exif\x00\x00"))
    after_header = 8 + 25  # signature and IHDR
    return data[:after_header] + chunks + data[after_header:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG chunk: length, kind, content, checksum (ISO/IEC 15948)."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def tiff(pixels: np.ndarray, *, tags: Tags) -> bytes:
    """Encode as TIFF with 8 or 16 bits, deflate and a predictor; EXIF texts become TIFF tags."""
    texts = exif_text(tags.exif, CARRIED_TEXT)
    extra = [(tag, "s", 0, text.encode() + b"\0", True) for tag, text in texts.items()]
    out = io.BytesIO()
    tifffile.imwrite(
        out, pixels, photometric="rgb", compression="zlib", predictor=True, iccprofile=tags.icc,
        software=tags.software, metadata=None, extratags=extra,
        resolution=tags.density, resolutionunit="INCH" if tags.density else None,
    )  # fmt: skip
    return out.getvalue()


def jpeg2000(pixels: np.ndarray, *, tags: Tags) -> bytes:
    """Encode as lossless JPEG 2000 in a JP2 file, with the bit depth of the source."""
    wide = pixels.dtype == np.uint16
    bits = tags.bit_depth if wide == (tags.bit_depth > 8) else 8 * pixels.dtype.itemsize
    data = bytes(
        imagecodecs.jpeg2k_encode(
            to_bits(pixels, bits=bits), level=0, reversible=True, codecformat="JP2",
            bitspersample=bits,
        )
    )  # fmt: skip
    if tags.icc:
        data = _with_profile(data, tags.icc)
    said = f'<?xml version="1.0"?><magenet software="{escape(tags.software, _QUOTES)}"/>'
    return data + _box(b"xml ", said.encode())


_QUOTES = {'"': "&quot;"}


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _with_profile(data: bytes, icc: bytes) -> bytes:
    """Replace the named colour space by a colour profile (ISO/IEC 15444-1, I.5.3.3)."""
    header = next(b for b in boxes(data) if b.kind == b"jp2h")
    inner = b"".join(
        _box(b"colr", b"\x02\x00\x00" + icc) if b.kind == b"colr" else data[b.begin : b.end]
        for b in boxes(data, header.start, header.end)
    )
    return data[: header.begin] + _box(b"jp2h", inner) + data[header.end :]
