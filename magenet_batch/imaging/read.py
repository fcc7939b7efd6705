"""Read images completely and upright, or fail with a reason.

The format is detected from the content, never from the name. Dimensions are checked in the header
before anything is decoded. A truncated file is an error: no half-grey image gets through.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import UnidentifiedImageError

from magenet_batch.errors import ImageError
from magenet_batch.imaging.formats import detect, jpeg
from magenet_batch.imaging.formats.base import as_rgb, upright
from magenet_batch.settings import MAX_PIXELS, ColourModel
from magenet_batch.storage import sha256_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_HEAD = 4096
_BYTES_PER_PIXEL = 8  # four channels of 16 bits, uncompressed
_METADATA_BYTES = 1 << 26
_N = TypeVar("_N", int, float)


@dataclass(frozen=True)
class FundusImage:
    """One decoded photograph.

    Attributes:
        pixels: (H, W, 3) RGB, uint8 or uint16, upright, over the full range of the dtype.
        format: format of the content: jpeg, png, tiff, bmp, webp, jpeg2000 or dicom.
        bit_depth: bits per channel of the source.
        icc: colour profile, or None.
        exif: EXIF block without orientation, or None.
        bytes: size of the file.
        sha256: SHA-256 of the file, hexadecimal.
        dataset: data set of a DICOM file, without its pixels; else None.
        full_size: width and height of the original, if fewer pixels were decoded.
        density: horizontal and vertical dots per inch, upright, or None.
        gamma: exponent of a PNG's `gAMA` chunk, or None.
        frame: which frame of a DICOM file with several it is, from 1; else None.
        notes: what was unusual about the file without changing its pixels, one sentence each.
    """

    pixels: np.ndarray
    format: str
    bit_depth: int
    icc: bytes | None
    exif: bytes | None
    bytes: int
    sha256: str
    dataset: Dataset | None = field(default=None, repr=False, compare=False)
    full_size: tuple[int, int] | None = None
    density: tuple[float, float] | None = None
    gamma: float | None = None
    frame: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the original, upright."""
        return self.full_size or (self.pixels.shape[1], self.pixels.shape[0])


def read_image(
    source: str | Path | bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    page: int | None = None,
    colour_model: ColourModel | None = None,
    reduced_to: int | None = None,
) -> FundusImage:
    """Read one image.

    Args:
        source: path of a file, or its content.
        max_pixels: maximum number of pixels; larger images are refused before they are decoded.
        page: page to read from multi-page files, from 1; None refuses such files.
        colour_model: what the three channels of a DICOM image hold, `rgb` or `ybr`, if its label is
            wrong; None believes the label.
        reduced_to: allows a JPEG to be decoded at some eighths of its size, as long as its shorter
            side keeps this many pixels; the file is still read and checked to its end.

    Returns:
        The image, RGB and upright.

    Raises:
        ImageError: the image cannot be read; `reason` says why. Nothing else is raised, whatever
            the bytes.
    """
    data = (
        source if isinstance(source, bytes) else file_content(Path(source), max_pixels=max_pixels)
    )
    if not data:
        raise ImageError("empty", "the file has no content")
    found = detect(data)
    try:
        if reduced_to is not None and found.name == "jpeg":
            decoded = jpeg.decode_reduced(data, max_pixels=max_pixels, page=page, least=reduced_to)
        elif colour_model is not None and found.name == "dicom":
            from magenet_batch.imaging.formats import dicom  # slow to import, and rarely needed

            decoded = dicom.decode(
                data, max_pixels=max_pixels, page=page, colour_model=colour_model
            )
        else:
            decoded = found.decode(data, max_pixels=max_pixels, page=page)
        rgb, extra = as_rgb(decoded.pixels)
        pixels = upright(rgb, decoded.orientation)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("too_large", "there was not enough memory to decode it") from error
    except Exception as error:  # decoders raise many types; for the user they are one error
        raise ImageError(
            "corrupt", f"this {found.name} cannot be decoded completely: {_brief(error)}"
        ) from error
    icc, notes = _profile(decoded.icc)
    return FundusImage(
        pixels, found.name, decoded.bit_depth or 8 * pixels.dtype.itemsize, icc,
        decoded.exif, len(data), sha256_of(data), decoded.dataset,
        _turned(decoded.full_size, decoded.orientation),
        _turned(decoded.density, decoded.orientation), decoded.gamma, decoded.frame,
        decoded.notes + extra + notes,
    )  # fmt: skip


def _profile(icc: bytes | None) -> tuple[bytes | None, tuple[str, ...]]:
    """A colour profile if it is one of RGB, which is what the pixels are now (ICC.1, 7.2.6)."""
    if icc is None or icc[16:20] == b"RGB ":
        return icc, ()
    kind = icc[16:20].decode("latin-1").strip()
    if not (kind.isascii() and kind.isalnum()):
        return None, ("its colour profile is damaged and was left out",)
    return None, (f"its colour profile is {kind}, not RGB, and was left out",)


def detect_format(data: bytes) -> str:
    """Name of the format of the content.

    Raises:
        ImageError: `unsupported` or `not_an_image`.
    """
    return detect(data).name


def _turned(size: tuple[_N, _N] | None, orientation: int) -> tuple[_N, _N] | None:
    """Swap what belongs to width and height if the orientation is a quarter turn."""
    return size[::-1] if size is not None and orientation in (5, 6, 7, 8) else size


def file_content(path: Path, *, max_pixels: int) -> bytes:
    """Read a file whose size and beginning are those of an image.

    Raises:
        ImageError: it cannot be opened, is no image, or is larger than any image of `max_pixels`.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > _HEAD:
                detect(file.read(_HEAD))
                check_length(size, max_pixels=max_pixels)
                file.seek(0)
            return file.read()
    except OSError as error:
        raise ImageError("unreadable", f"it cannot be opened: {error.strerror or error}") from error
    except ValueError as error:  # a null byte in the path
        raise ImageError("unreadable", f"it cannot be opened: {error}") from error


def check_length(length: int, *, max_pixels: int) -> None:
    """Refuse a file that is larger than any image may be, before it is loaded.

    Raises:
        ImageError: `too_large`.
    """
    most = _BYTES_PER_PIXEL * max_pixels + _METADATA_BYTES
    if length > most:
        raise ImageError(
            "too_large",
            f"the file has {length / 1e9:.1f} GB; an image of {max_pixels / 1e6:.0f} million "
            f"pixels has at most {most / 1e9:.1f} GB",
        )


def _brief(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its words name an object in memory
        return "its header is damaged"
    if isinstance(error, UnicodeDecodeError):  # of the decoder's own words
        return "its decoder gives no reason"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."
