"""DICOM files whose samples are described in every way that the standard allows, and some not."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pydicom
from dicom_files import (
    JPEG,
    JPEG_2000,
    JPEG_LOSSLESS,
    JPEG_LS,
    SECONDARY_CAPTURE,
    dicom,
    header,
    saved,
)
from odd import PICTURE, Odd, full, rgb, samples
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

_CLASSES = {
    "OP": "1.2.840.10008.5.1.4.1.1.77.1.5.1",
    "photograph": "1.2.840.10008.5.1.4.1.1.77.1.4",
    "secondary capture": SECONDARY_CAPTURE,
    "wide-field OP": "1.2.840.10008.5.1.4.1.1.77.1.5.5",
}


def changed(data: bytes, *, without: bool = False, **values: object) -> bytes:
    """The file with some attributes changed after its pixels were written, or left out."""
    d = pydicom.dcmread(io.BytesIO(data))
    if without:
        del d.PixelData
    for name, value in values.items():
        setattr(d, name, value)
    out = io.BytesIO()
    d.save_as(out)
    return out.getvalue()


def depths() -> Iterator[Odd]:
    """Bits stored from 8 to 16, both greys, every lossless syntax."""
    for bits in (8, 10, 12, 14, 15, 16):
        stored = samples(bits, 1)[..., 0].astype(np.uint8 if bits == 8 else np.uint16)
        for colours in ("MONOCHROME1", "MONOCHROME2"):
            right = rgb(full(stored[..., None], bits))
            right = np.iinfo(right.dtype).max - right if colours == "MONOCHROME1" else right
            for syntax in (ExplicitVRLittleEndian, RLELossless, JPEG_LOSSLESS):
                name = f"dicom {colours} of {bits} bits, {str(syntax)[-5:]}"
                yield Odd(name, dicom(stored, bits=bits, colours=colours, syntax=syntax), right)
    for syntax in (ExplicitVRLittleEndian, RLELossless, JPEG_LS, JPEG_2000):
        for planar in (0, 1) if syntax == ExplicitVRLittleEndian else (0,):
            for bits in (8, 16):
                stored = samples(bits).astype(np.uint8 if bits == 8 else np.uint16)
                name = f"dicom RGB of {bits} bits, planar {planar}, {str(syntax)[-5:]}"
                yield Odd(name, dicom(stored, planar=planar, syntax=syntax), full(stored, bits))
    for name, uid in _CLASSES.items():
        yield Odd(f"dicom {name}", dicom(PICTURE, sop_class=uid), PICTURE)
    high = samples(12, 1)[..., 0] | 0xF000
    yield Odd("dicom, something in the unused upper bits", dicom(high, bits=12),
              rgb(full((high & 0xFFF)[..., None], 12)))  # fmt: skip


def padded() -> Iterator[Odd]:
    """Compressed frames with bytes after their end."""
    for syntax, padding in ((JPEG, b"\xff\xff"), (JPEG, b"\0\0"), (JPEG, b"\xff" * 12),
                            (JPEG_LS, b"\0\0"), (JPEG_LOSSLESS, b"\xff\xff")):  # fmt: skip
        pixels = PICTURE[..., 0] if syntax == JPEG_LOSSLESS else PICTURE
        data = dicom(
            pixels, syntax=syntax, **({"colours": "YBR_FULL_422"} if syntax == JPEG else {})
        )
        d = pydicom.dcmread(io.BytesIO(data))
        frame = get_frame(d.PixelData, 0, number_of_frames=1)
        frame = frame[: frame.rindex(b"\xff\xd9") + 2]
        if syntax == JPEG:
            import simplejpeg

            right = simplejpeg.decode_jpeg(frame, colorspace="RGB", strict=True)
        else:
            right = rgb(pixels.reshape(*pixels.shape[:2], -1))
        yield Odd(f"dicom {syntax[-2:]} padded with {padding[:2]!r} x {len(padding)}",
                  changed(data, PixelData=encapsulate([frame + padding])), right)  # fmt: skip
        cut = changed(data, PixelData=encapsulate([frame[:-40] + padding]))
        yield Odd(f"dicom {syntax[-2:]} cut and padded with {padding[:2]!r} x {len(padding)}", cut,
                  refusal=("corrupt", "truncated"))  # fmt: skip


def contradictory() -> Iterator[Odd]:
    """Compressed pixels with other bits than the header states, and pixels that are not there."""
    deep, low = samples(16, 1)[..., 0], samples(12, 1)[..., 0]
    for syntax in (JPEG_LS, JPEG_LOSSLESS, JPEG_2000):
        name, twelve = str(syntax)[-2:], {"BitsStored": 12, "HighBit": 11}
        wrong = changed(dicom(deep, syntax=syntax), **twelve)
        yield Odd(f"dicom {name}, 16 bits stated as 12", wrong,
                  refusal=("corrupt", "have 16 bits, its header states 12"))  # fmt: skip
        unused = changed(dicom(low, syntax=syntax), **twelve)
        yield Odd(f"dicom {name}, 16 bits of which 12 are used and stated", unused,
                  rgb(full(low[..., None], 12)))  # fmt: skip
        grey = dicom(PICTURE[..., 0], syntax=syntax)
        wrong = changed(grey, BitsStored=12, HighBit=11, BitsAllocated=16)
        yield Odd(f"dicom {name}, 8 bits stated as 12", wrong,
                  refusal=("corrupt", "have 8 bits, its header states 12"))  # fmt: skip
    yield Odd("dicom, three frames where it says one", changed(dicom(PICTURE // 2, frames=3),
              NumberOfFrames=1), PICTURE // 2, note="bytes after its pixels")  # fmt: skip
    label = {"PhotometricInterpretation": "YBR_FULL_422"}
    grey = np.full((24, 32, 3), 128, np.uint8)
    grey[..., 0] = PICTURE[..., 0]  # luminance alone
    yield Odd("dicom, YBR_FULL_422 of full resolution", changed(dicom(grey), **label),
              rgb(PICTURE[..., :1]), note="colours have full resolution")  # fmt: skip
    elsewhere = {
        "floating point": ({"FloatPixelData": b"\0" * 16}, "floating-point pixels"),
        "doubles": ({"DoubleFloatPixelData": b"\0" * 16}, "floating-point pixels"),
        "on a server": ({"PixelDataProviderURL": "https://pacs.example/1"}, "on a server"),
    }
    for name, (values, words) in elsewhere.items():
        yield Odd(f"dicom, pixels {name}", changed(dicom(PICTURE), without=True, **values),
                  refusal=("unsupported", words))  # fmt: skip


def refused() -> Iterator[Odd]:
    """What would be read wrong."""
    whole = dicom(PICTURE)
    grey = dicom(samples(12, 1)[..., 0], bits=12)
    said = {
        "signed samples": (changed(whole, PixelRepresentation=1), "signed or shifted"),
        "shifted samples": (changed(grey, HighBit=15), "signed or shifted"),
        "32 bits allocated": (changed(grey, BitsAllocated=32), "12 bits in 32"),
        "no bits stored": (changed(grey, BitsStored=0), "0 bits in 16"),
        "more stored than allocated": (changed(whole, BitsStored=9), "9 bits in 8"),
        "HSV": (changed(whole, PhotometricInterpretation="HSV"), "'HSV'"),
        "CMYK": (changed(whole, PhotometricInterpretation="CMYK"), "'CMYK'"),
        "grey of three samples": (changed(whole, PhotometricInterpretation="MONOCHROME2"),
                                  "'MONOCHROME2'"),
        "RGB of one sample": (changed(grey, PhotometricInterpretation="RGB"), "'RGB'"),
        "three frames": (dicom(PICTURE // 2, frames=3), "3 pages: choose one with --page"),
        "a report": (saved(header("1.2.840.10008.5.1.4.1.1.88.11")), "Basic Text SR"),
    }  # fmt: skip
    for name, (data, words) in said.items():
        yield Odd(f"dicom, {name}", data, refusal=("unsupported", words))
    yield Odd("dicom, too few pixels", changed(whole, PixelData=PICTURE.tobytes()[:-2]),
              refusal=("corrupt", "truncated"))  # fmt: skip
    for page in (1, 2, 3):
        yield Odd(f"dicom, page {page} of 3", dicom(PICTURE // 2, frames=3),
                  PICTURE // 2 + np.uint8(page - 1), page=page)  # fmt: skip


def odd_dicoms() -> list[Odd]:
    """All of them."""
    return [*depths(), *padded(), *contradictory(), *refused()]
