"""Pixels of a DICOM file as they are stored: uncompressed, RLE or lossless JPEG 2000."""

from __future__ import annotations

import struct
from typing import NamedTuple

import imagecodecs
import numpy as np
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from magenet_batch.settings import DicomSyntax

_NEW_YEAR = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)


class Stored(NamedTuple):
    """Value of `PixelData`, its value representation, transfer syntax and colours."""

    data: bytes
    vr: str
    syntax: UID
    colours: str


def stored_pixels(values: np.ndarray, *, bits: int, syntax: DicomSyntax) -> Stored:
    """Store the samples of one frame.

    Args:
        values: `(H, W, 3)` RGB, uint8 or uint16, below `2 ** bits`.
        bits: bits per sample.
        syntax: `explicit` (uncompressed), `rle` or `jpeg2000`; all lossless.
    """
    if syntax == "rle":
        return Stored(encapsulate([rle(values)]), "OB", RLELossless, "RGB")
    if syntax == "jpeg2000":
        frame = imagecodecs.jpeg2k_encode(
            values, level=0, reversible=True, codecformat="J2K", bitspersample=bits, mct=True
        )
        return Stored(encapsulate([bytes(frame)]), "OB", JPEG2000Lossless, "YBR_RCT")
    wide = values.dtype == np.uint16
    data = values.astype("<u2" if wide else "u1").tobytes()
    vr = "OW" if wide else "OB"
    return Stored(data + b"\0" * (len(data) % 2), vr, ExplicitVRLittleEndian, "RGB")


def rle(values: np.ndarray) -> bytes:
    """A frame in RLE: a segment for each byte of each channel, rows packed alone (PS3.5, G)."""
    planes = values.astype(values.dtype.newbyteorder(">")).view(np.uint8)
    planes = planes.reshape(*values.shape, values.dtype.itemsize)
    segments = []
    for channel in range(values.shape[2]):
        for byte in range(values.dtype.itemsize):
            plane = np.ascontiguousarray(planes[..., channel, byte])
            packed = b"".join(bytes(imagecodecs.packbits_encode(row.tobytes())) for row in plane)
            segments.append(packed + b"\0" * (len(packed) % 2))
    starts, at = [], 64
    for segment in segments:
        starts.append(at)
        at += len(segment)
    header = struct.pack("<16I", len(segments), *starts, *[0] * (15 - len(segments)))
    return header + b"".join(segments)


def srgb_profile() -> bytes:
    """A colour profile of sRGB, the same bytes every time: without the date (ICC.1, 7.2.8)."""
    from PIL import ImageCms

    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:24] + _NEW_YEAR + made[36:]
