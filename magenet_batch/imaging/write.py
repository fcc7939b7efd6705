"""Writing images: same format as the source, same bytes every time, whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import uuid
import zlib
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

from magenet_batch import __version__
from magenet_batch.errors import ImageError
from magenet_batch.imaging.read import FundusImage

_FORMATS = {
    ".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".png": "png", ".tif": "tiff", ".tiff": "tiff",
}  # fmt: skip
SOFTWARE = f"magenet {__version__} (enhanced)"
_SOFTWARE_TAG = 0x0131
_LONGEST_EXIF = 65_533  # bytes that one JPEG segment holds


def output_format_for(suffix: str) -> str:
    """The format that an output is written in: that of the source where it can be written.

    Args:
        suffix: of the source's name, with its dot.

    Returns:
        jpeg, png or tiff; png for every other suffix, and the output's name gets `.png` appended.
    """
    return _FORMATS.get(suffix.lower(), "png")


def encode_image(
    pixels: np.ndarray, *, like: FundusImage | None = None, format: str = "png", quality: int = 95
) -> bytes:
    """Encode an image; the same input gives the same bytes.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16; JPEG keeps the upper 8 bits.
        like: the source, whose colour profile and EXIF block are carried over.
        format: jpeg (4:4:4), png or tiff (lossless).
        quality: of JPEG, 1..100.

    Raises:
        ImageError: `unwritable`, if the encoder fails.
    """
    icc = like.icc if like is not None else None
    exif = like.exif if like is not None else None
    try:
        if format == "jpeg":
            return _jpeg(pixels, icc, exif, quality)
        return _tiff(pixels, icc) if format == "tiff" else _png(pixels, icc, exif)
    except (ValueError, TypeError, OSError, cv2.error, struct.error) as error:
        raise ImageError("unwritable", f"it cannot be encoded as {format}: {error}") from error


def _jpeg(pixels: np.ndarray, icc: bytes | None, exif: bytes | None, quality: int) -> bytes:
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(
        out, "JPEG", quality=quality, subsampling=0, icc_profile=icc, exif=_exif_block(exif)
    )
    return out.getvalue()


def _exif_block(exif: bytes | None) -> bytes:
    """The source's EXIF block with our name as its software."""
    block = Image.Exif()
    if exif:
        try:
            block.load(exif)
            block[_SOFTWARE_TAG] = SOFTWARE
            content = block.tobytes()
        except (ValueError, TypeError, OSError, SyntaxError, struct.error):
            content = b""
        if 0 < len(content) <= _LONGEST_EXIF:
            return content
        block = Image.Exif()  # damaged or too long to be written again: the pixels matter more
    block[_SOFTWARE_TAG] = SOFTWARE
    return block.tobytes()


def _png(pixels: np.ndarray, icc: bytes | None, exif: bytes | None) -> bytes:
    done, encoded = cv2.imencode(".png", pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise ImageError("unwritable", "the PNG encoder failed")
    data = encoded.tobytes()
    chunks = _chunk(b"tEXt", b"Software\x00" + SOFTWARE.encode("latin-1"))
    if icc:
        chunks = _chunk(b"iCCP", b"ICC profile\x00\x00" + zlib.compress(icc, 9)) + chunks
    if exif:
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


def _tiff(pixels: np.ndarray, icc: bytes | None) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(
        out, pixels, photometric="rgb", compression="zlib", predictor=True, iccprofile=icc,
        software=SOFTWARE, metadata=None,
    )  # fmt: skip
    return out.getvalue()


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    The content goes to a temporary name in the same folder, is flushed to disk, and renamed. The
    folder is made if it is missing.

    Raises:
        ImageError: `unwritable`, with the operating system's words as its cause.
    """
    temporary = path.parent / f".magenet-{uuid.uuid4().hex}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        _remove(temporary)
        raise ImageError(
            "unwritable", f"{path} cannot be written: {error.strerror or error}"
        ) from error
    except BaseException:
        _remove(temporary)
        raise


def _remove(path: Path) -> None:
    """Remove a temporary file; what prevents that is what prevented writing it."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
