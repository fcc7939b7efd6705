"""Read JPEG: baseline and progressive, grey, YCbCr, RGB and CMYK, 8 bits."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import simplejpeg
from PIL import Image

from magenet_batch.errors import ImageError
from magenet_batch.imaging.formats.base import Decoded, check_size
from magenet_batch.imaging.formats.jpeg_segments import (
    FrameHeader,
    frame_header,
    has_scan,
    open_picture,
    tidy,
    without_padding,
    without_profile,
)

_PADDING = "extraneous bytes before marker 0xd9"
_PADDED = "zeros after its compressed pixels were left out"
_PROFILE = "bad ICC marker"
_SAMPLING = "subsampling level"
_NO_PROFILE = "its colour profile is in pieces that do not fit together, and was left out"


def decode(data: bytes, *, max_pixels: int, page: int | None) -> Decoded:
    """Read a JPEG file; of several pictures in it (MPO), the first or the requested one."""
    _refuse_unread(frame_header(tidy(data)[0]))  # before Pillow, which does not know all kinds
    picture = open_picture(data, page=page)
    header = frame_header(picture.data)
    check_size(header.width, header.height, max_pixels=max_pixels, stored=len(picture.data))
    pixels, notes = decode_pixels(picture.data, header=header)
    icc = None if _NO_PROFILE in notes else picture.icc
    return Decoded(
        pixels, icc, picture.exif, picture.orientation, density=picture.density,
        notes=picture.notes + notes,
    )  # fmt: skip


def decode_reduced(data: bytes, *, max_pixels: int, page: int | None, least: int) -> Decoded:
    """Read a JPEG file at some eighths of its size, to measure it.

    Everything is decoded except for the last step, the inverse transform of each block, which gives
    fewer pixels (libjpeg's scaling): damage is detected as by `decode`.

    Args:
        data: content of the file.
        max_pixels: maximum number of pixels at full size.
        page: picture to read, as for `decode`.
        least: minimum length of the shorter side, pixels, unless the image is smaller.

    Raises:
        ImageError: as `decode`.
    """
    _refuse_unread(frame_header(tidy(data)[0]))
    picture = open_picture(data, page=page)
    header = frame_header(picture.data)
    if header.components not in (1, 3) or header.bits != 8 or min(header[2:4]) < 2 * least:
        return decode(data, max_pixels=max_pixels, page=page)
    check_size(header.width, header.height, max_pixels=max_pixels, stored=len(picture.data))
    colours = "GRAY" if header.components == 1 else "RGB"
    pixels, notes = _strictly(picture.data, colours, least=least)
    return Decoded(
        pixels, orientation=picture.orientation, full_size=(header.width, header.height),
        notes=picture.notes + notes,
    )  # fmt: skip


def _strictly(
    data: bytes, colours: str, *, least: int | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Decode; a warning of the decoder is an error, unless it concerns no pixel."""
    smaller = {} if least is None else {"min_height": least, "min_width": least, "min_factor": 1}
    notes: tuple[str, ...] = ()
    harmless = {_PADDING: (without_padding, _PADDED), _PROFILE: (without_profile, _NO_PROFILE)}
    while True:
        try:
            pixels = simplejpeg.decode_jpeg(data, colorspace=colours, strict=True, **smaller)
            return np.asarray(pixels), notes
        except ValueError as error:
            if _SAMPLING in str(error) and has_scan(data):
                raise ImageError(
                    "unsupported",
                    "JPEG with colours of unusual resolution is not supported: convert it to PNG "
                    "or TIFF",
                ) from error
            found = [mend for words, mend in harmless.items() if words in str(error)]
            mended = found[0][0](data) if found else data
            if len(mended) == len(data):
                raise
        data, notes = mended, (*notes, found[0][1])


def _refuse_unread(header: FrameHeader) -> None:
    if header.bits != 8 or header.marker not in (0xC0, 0xC1, 0xC2):
        raise ImageError(
            "unsupported",
            f"JPEG of {header.bits} bits and kind {header.marker:#x} is not supported: "
            "convert it to PNG or TIFF",
        )
    if header.components not in (1, 3, 4):
        raise ImageError("unsupported", f"JPEG of {header.components} channels is not supported")


def decode_pixels(
    data: bytes, *, header: FrameHeader, unmarked_is_rgb: bool = False
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Decode the pixels strictly: damage that a decoder could hide is an error.

    Args:
        data: a JPEG whose size has been checked.
        header: its frame header.
        unmarked_is_rgb: treat colours without a marker as RGB, as DICOM can state; else as YCbCr.

    Returns:
        `(H, W, 3)` or, for one component, `(H, W, 1)`; uint8. And what was unusual.

    Raises:
        ImageError: `unsupported`, for 12 bits and for lossless JPEG.
    """
    _refuse_unread(header)
    if header.components == 4:
        _, notes = _strictly(data, "CMYK")  # Pillow is not strict
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB")), notes
    pixels, notes = _strictly(data, "GRAY" if header.components == 1 else "RGB")
    if unmarked_is_rgb and header.components == 3 and not header.marked:
        bare = imagecodecs.jpeg8_decode(data, colorspace="RGB", outcolorspace="RGB")
        return np.asarray(bare), notes
    return pixels, notes
