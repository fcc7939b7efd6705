"""Registry of the readable formats, detected by content."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from magenet_batch.errors import ImageError
from magenet_batch.imaging.formats import jpeg, jpeg2000, raster, tiff
from magenet_batch.imaging.formats.base import Decoded


class Decoder(Protocol):
    """Decodes the content of a file; raises `ImageError`, or anything else if it is corrupt."""

    def __call__(self, data: bytes, *, max_pixels: int, page: int | None) -> Decoded:
        """Decode `data`."""
        ...


class Format(NamedTuple):
    """One image format.

    Attributes:
        name: name of the format in rows.
        marks: bytes at offsets that identify it.
        decode: its decoder.
    """

    name: str
    marks: tuple[tuple[int, bytes], ...]
    decode: Decoder


def _decode_dicom(data: bytes, *, max_pixels: int, page: int | None) -> Decoded:
    """Read a DICOM file; pydicom is imported late because it is slow and rarely needed."""
    from magenet_batch.imaging.formats import dicom

    return dicom.decode(data, max_pixels=max_pixels, page=page)


FORMATS: tuple[Format, ...] = (
    Format("jpeg", ((0, b"\xff\xd8\xff"),), jpeg.decode),
    Format("png", ((0, b"\x89PNG\r\n\x1a\n"),), raster.decode_png),
    Format(
        "tiff",
        ((0, b"II*\x00"), (0, b"MM\x00*"), (0, b"II+\x00"), (0, b"MM\x00+")),
        tiff.decode,
    ),
    Format("jpeg2000", ((4, b"jP  "), (0, jpeg2000.CODESTREAM)), jpeg2000.decode),
    Format("webp", ((8, b"WEBP"),), raster.decode_other),
    Format("bmp", ((0, b"BM"),), raster.decode_other),
    Format("dicom", ((128, b"DICM"),), _decode_dicom),
)
_NOT_READ: tuple[tuple[int, bytes, str], ...] = (
    (0, b"GIF8", "GIF"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypavif", "AVIF"),
    (0, b"%PDF", "PDF"),
)


def detect(data: bytes) -> Format:
    """Detect the format of a file from its content.

    Raises:
        ImageError: `unsupported` or `not_an_image`.
    """
    # DICOM first: its preamble can imitate another format (PS3.10, 7.1).
    for found in (FORMATS[-1], *FORMATS):
        if any(data[at : at + len(mark)] == mark for at, mark in found.marks):
            return found
    for offset, magic, name in _NOT_READ:
        if data[offset : offset + len(magic)] == magic:
            raise ImageError(
                "unsupported", f"{name} files are not supported: convert it to PNG or TIFF"
            )
    raise ImageError("not_an_image", "its content is not a known image format")
