"""Compressed frames of DICOM files: JPEG, lossless JPEG, JPEG-LS, JPEG 2000."""

from __future__ import annotations

import imagecodecs
import numpy as np
from pydicom.uid import UID

from magenet_batch.errors import ImageError
from magenet_batch.imaging.formats import jpeg, jpeg2000
from magenet_batch.imaging.formats.jpeg_segments import frame_header, tidy

_LOSSY_JPEG = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}
_LOSSLESS_JPEG = {"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"}
_JPEG_LS = {"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"}
_JPEG_2000 = {"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"}


def decode_frame(
    frame: bytes, *, syntax: UID, shape: tuple[int, int], colours: str, bits: int
) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """Decode a frame, and check that it matches its DICOM header.

    Args:
        frame: content of the frame.
        syntax: transfer syntax.
        shape: height and width in the DICOM header.
        colours: photometric interpretation in the DICOM header.
        bits: bits per sample in the DICOM header.

    Returns:
        `(H, W)` or `(H, W, 3)`, the photometric interpretation of the decoded samples, and what was
        unusual about the frame.

    Raises:
        ImageError: `unsupported` or `corrupt`.
    """
    if syntax in _JPEG_2000:
        return *_jpeg2000(frame, shape, colours, bits), ()
    if syntax not in _LOSSY_JPEG | _LOSSLESS_JPEG | _JPEG_LS:
        raise ImageError(
            "unsupported", f"DICOM compressed with {syntax.name[:64]} is not supported"
        )
    frame, notes = tidy(frame)
    header = frame_header(frame)
    _check_shape((header.height, header.width), shape)
    if not frame.rstrip(b"\x00\xff").endswith(b"\xff\xd9"):
        raise ImageError("corrupt", "its compressed pixels are truncated")
    if syntax in _JPEG_LS:
        pixels = _checked(imagecodecs.jpegls_decode(frame), shape)
        return _within(pixels, header.bits, bits), colours, notes
    if syntax in _LOSSLESS_JPEG or header.marker == 0xC3:
        if header.components != 1:
            raise ImageError("unsupported", "DICOM with lossless JPEG is only supported in grey")
        pixels = _checked(imagecodecs.ljpeg_decode(frame), shape)
        return _within(pixels, header.bits, bits), colours, notes
    pixels, more = jpeg.decode_pixels(frame, header=header, unmarked_is_rgb=colours == "RGB")
    grey = header.components == 1
    pixels = _within(_checked(pixels[..., 0] if grey else pixels, shape), header.bits, bits)
    return pixels, colours if grey else "RGB", notes + more


def _jpeg2000(
    frame: bytes, shape: tuple[int, int], colours: str, bits: int
) -> tuple[np.ndarray, str]:
    start = 0
    if frame[:4] != jpeg2000.CODESTREAM:  # not allowed, but some files embed a whole JP2
        start = next((b.start for b in jpeg2000.boxes(frame) if b.kind == b"jp2c"), 0)
    header = jpeg2000.codestream_header(frame, start)
    _check_shape((header.height, header.width), shape)
    if header.components == 1 or not header.mixed:
        now = colours if colours != "YBR_ICT" and colours != "YBR_RCT" else "RGB"
    else:
        now = "RGB"
    samples = _checked(np.asarray(imagecodecs.jpeg2k_decode(frame)), shape)
    return _within(samples, header.bits, bits), now


def _within(samples: np.ndarray, found: int, said: int) -> np.ndarray:
    """Samples whose range is that of the DICOM header (PS3.5, 8.2).

    More bits than stated do no harm if they are not used; fewer would darken the picture.
    """
    if found < said or (found > said and int(samples.max()) >> said):
        raise ImageError(
            "corrupt", f"its compressed pixels have {found} bits, its header states {said}"
        )
    return samples


def _check_shape(found: tuple[int, int], said: tuple[int, int]) -> None:
    if found != said:
        raise ImageError(
            "corrupt",
            f"its compressed pixels are {found[1]} x {found[0]}, its header states "
            f"{said[1]} x {said[0]}",
        )


def _checked(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    _check_shape((pixels.shape[0], pixels.shape[1]), shape)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim == 3 and pixels.shape[2] != 3:
        raise ImageError("unsupported", f"{pixels.shape[2]} compressed channels are not supported")
    return pixels
