"""Reading images: whole and upright, or an error that says why not.

The format is found in the content, never believed from the name. Dimensions are checked in the
header before anything is decoded. A truncated file is an error: no half-grey image gets through.
"""

from __future__ import annotations

import hashlib
import io
import logging
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import simplejpeg
import tifffile
from PIL import Image, UnidentifiedImageError

from magenet_batch.errors import ImageError
from magenet_batch.settings import MAX_PIXELS

Image.MAX_IMAGE_PIXELS = None  # our own limit is checked first, and gives a reason
# It logs a line for every damaged tag; what is wrong with a file is said once, in its row.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)

_ORIENTATION = 0x0112
_MOST_PAGES = 4096
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"II*\x00", "tiff"),
    (0, b"MM\x00*", "tiff"),
    (0, b"II+\x00", "tiff"),
    (0, b"MM\x00+", "tiff"),
    (0, b"BM", "bmp"),
    (8, b"WEBP", "webp"),
)
_NOT_READ: tuple[tuple[int, bytes, str], ...] = (
    (0, b"GIF8", "GIF"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypavif", "AVIF"),
    (4, b"jP  ", "JPEG 2000"),
    (128, b"DICM", "DICOM"),
    (0, b"%PDF", "PDF"),
)


@dataclass(frozen=True)
class FundusImage:
    """One decoded photograph.

    Attributes:
        pixels: (H, W, 3) RGB, uint8 or uint16, upright.
        format: found in the content: jpeg, png, tiff, bmp, webp.
        bit_depth: of the source, per channel.
        icc: colour profile, or None.
        exif: EXIF block that no longer asks for rotation, or None.
        bytes: size of the file.
        sha256: of the file, hexadecimal.
    """

    pixels: np.ndarray
    format: str
    bit_depth: int
    icc: bytes | None
    exif: bytes | None
    bytes: int
    sha256: str


@dataclass(frozen=True)
class _Decoded:
    pixels: np.ndarray
    icc: bytes | None = None
    exif: bytes | None = None
    orientation: int = 1


def read_image(source: Path | bytes, *, max_pixels: int = MAX_PIXELS) -> FundusImage:
    """Read one image.

    Args:
        source: a file, or its content.
        max_pixels: refuse larger ones before decoding them.

    Returns:
        The image, RGB and upright.

    Raises:
        ImageError: with the reason; nothing else is raised, whatever the bytes.
    """
    data = source if isinstance(source, bytes) else _file_content(source)
    if not data:
        raise ImageError("empty", "the file has no content")
    name = detect_format(data)
    try:
        decoded = _DECODERS[name](data, max_pixels)
        pixels = _upright(_as_rgb(decoded.pixels), decoded.orientation)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("too_large", "there was not enough memory to decode it") from error
    except Exception as error:  # decoders raise many kinds; for the user they are one
        raise ImageError(
            "corrupt", f"this {name} cannot be decoded whole: {_brief(error)}"
        ) from error
    return FundusImage(
        pixels, name, 16 if pixels.dtype == np.uint16 else 8, decoded.icc, decoded.exif, len(data),
        hashlib.sha256(data).hexdigest(),
    )  # fmt: skip


def detect_format(data: bytes) -> str:
    """The format that the content has: one of jpeg, png, tiff, bmp, webp.

    Raises:
        ImageError: `unsupported` or `not_an_image`.
    """
    for offset, magic, name in _MAGIC:
        if data[offset : offset + len(magic)] == magic:
            return name
    for offset, magic, name in _NOT_READ:
        if data[offset : offset + len(magic)] == magic:
            raise ImageError(
                "unsupported", f"{name} files are not read yet: convert it to PNG or TIFF"
            )
    raise ImageError("not_an_image", "its content is no image format that is known")


def _file_content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError("unreadable", f"it cannot be opened: {error.strerror or error}") from error


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise ImageError("corrupt", f"its header says {width} x {height} pixels")
    if width * height > max_pixels:
        raise ImageError(
            "too_large",
            f"{width} x {height} pixels are more than the limit of {max_pixels / 1e6:.0f} million",
        )


def _decode_jpeg(data: bytes, max_pixels: int) -> _Decoded:
    height, width, space, _ = simplejpeg.decode_jpeg_header(data)
    _check_size(width, height, max_pixels)
    with Image.open(io.BytesIO(data)) as image:
        icc, exif, orientation = _metadata(image)
        if space in ("CMYK", "YCCK"):
            return _Decoded(np.asarray(image.convert("RGB")), icc, exif, orientation)
    return _Decoded(simplejpeg.decode_jpeg(data, strict=True), icc, exif, orientation)


def _decode_png(data: bytes, max_pixels: int) -> _Decoded:
    if b"IEND" not in data:
        raise ImageError("corrupt", "this png is cut off: its end mark is missing")
    with Image.open(io.BytesIO(data)) as image:
        _check_size(*image.size, max_pixels)
        icc, exif, orientation = _metadata(image)
        if image.mode == "P":
            return _Decoded(np.asarray(image.convert("RGBA")), icc, exif, orientation)
    return _Decoded(imagecodecs.png_decode(data), icc, exif, orientation)


def _decode_with_pillow(data: bytes, max_pixels: int) -> _Decoded:
    with Image.open(io.BytesIO(data)) as image:
        _check_size(*image.size, max_pixels)
        icc, exif, orientation = _metadata(image)
        return _Decoded(np.asarray(image.convert("RGBA")), icc, exif, orientation)


def _decode_tiff(data: bytes, max_pixels: int) -> _Decoded:
    _check_directories(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        pages = [p for p in file.pages if not int(getattr(p, "subfiletype", 0)) & 1]
        if len(pages) != 1:
            raise ImageError("unsupported", f"it holds {len(pages)} pages; one is read")
        page = pages[0].aspage()
        _check_size(page.imagewidth, page.imagelength, max_pixels)
        _check_strips(page, len(data))
        _check_colours(page)
        pixels = page.asarray()
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, -1)
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
            # Entries are 8-bit colours in the upper half of 16 bits, whatever the lower half says.
            pixels = (np.moveaxis(page.colormap, 0, -1) >> 8).astype(np.uint8)[pixels]
        elif page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            pixels = np.iinfo(pixels.dtype).max - pixels
        icc = page.tags.valueof(34675)
        orientation = int(page.tags.valueof(274) or 1)
    return _Decoded(pixels, bytes(icc) if icc else None, None, orientation)


def _check_directories(data: bytes) -> None:
    """Follow the chain of TIFF directories to its end, which tifffile does not insist on."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\x00", b"\x00+")
    count_kind, entry, pointer = ("Q", 20, "Q") if big else ("H", 12, "I")
    (offset,) = struct.unpack_from(order + pointer, data, 8 if big else 4)
    seen: set[int] = set()
    while offset:
        if offset in seen or offset + 2 > len(data) or len(seen) > _MOST_PAGES:
            raise ImageError("corrupt", "this tiff is cut off or its list of pages is damaged")
        seen.add(offset)
        (entries,) = struct.unpack_from(order + count_kind, data, offset)
        link = offset + struct.calcsize(count_kind) + entries * entry
        (offset,) = struct.unpack_from(order + pointer, data, link)


def _check_colours(page: tifffile.TiffPage) -> None:
    """Refuse colours that would come out wrong, taken for RGB.

    Of YCbCr only JPEG strips are read, whose decoder gives RGB.
    """
    kinds = tifffile.PHOTOMETRIC
    read = {kinds.MINISWHITE, kinds.MINISBLACK, kinds.RGB, kinds.PALETTE}
    if page.compression == tifffile.COMPRESSION.JPEG:
        read.add(kinds.YCBCR)
    if page.photometric not in read:
        name = getattr(page.photometric, "name", str(page.photometric))
        raise ImageError("unsupported", f"TIFF colours {name} are not read: convert it to RGB")


def _check_strips(page: tifffile.TiffPage, size: int) -> None:
    """Whether all strips or tiles of pixels lie inside the file.

    Decoders of compressed strips would fill what is missing with grey.
    """
    for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True):
        if offset + length > size:
            raise ImageError("corrupt", "this tiff is cut off: pixels lie behind its end")


_DECODERS: dict[str, Callable[[bytes, int], _Decoded]] = {
    "jpeg": _decode_jpeg,
    "png": _decode_png,
    "tiff": _decode_tiff,
    "bmp": _decode_with_pillow,
    "webp": _decode_with_pillow,
}


def _metadata(image: Image.Image) -> tuple[bytes | None, bytes | None, int]:
    """Colour profile, EXIF that asks for no rotation, and the rotation that was asked for."""
    icc = image.info.get("icc_profile")
    try:
        exif = image.getexif()
        orientation = int(exif.get(_ORIENTATION, 1))
        if not exif:
            return icc, None, 1
        exif[_ORIENTATION] = 1
        return icc, exif.tobytes(), orientation
    except (ValueError, TypeError, KeyError, OSError, SyntaxError, UnidentifiedImageError):
        return icc, None, 1  # a broken EXIF block is no reason to refuse the image


def _as_rgb(pixels: np.ndarray) -> np.ndarray:
    """Grey, grey with alpha, RGB or RGBA to RGB; what shines through is black."""
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            "unsupported", f"pixels of type {pixels.dtype} are not read, uint8 and uint16 are"
        )
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4):
        raise ImageError("unsupported", f"an image of shape {pixels.shape} is not read")
    if pixels.shape[2] in (2, 4):
        full = np.iinfo(pixels.dtype).max
        alpha = pixels[..., -1:]
        pixels = pixels[..., :-1]
        if (alpha != full).any():
            pixels = (pixels.astype(np.uint32) * alpha // full).astype(pixels.dtype)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo EXIF orientation 1..8; other values are taken as 1."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."
