"""Read DICOM: ophthalmic photographs, secondary captures and other visible-light images."""

from __future__ import annotations

import io
import logging
import warnings
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pydicom
from pydicom.encaps import get_frame
from pydicom.pixels import apply_color_lut, get_decoder  # type: ignore[attr-defined]
from pydicom.uid import UID, RLELossless

from magenet_batch.errors import ImageError
from magenet_batch.imaging.formats import compressed
from magenet_batch.imaging.formats.base import Decoded, check_size, choose_page, full_range
from magenet_batch.imaging.formats.colour_model import LABELS, OVERRIDDEN, doubt, to_rgb

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from magenet_batch.settings import ColourModel

# pydicom warns about every value that breaks a rule; a file's problem is reported once, in its row.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module=r"pydicom\b")

_NATIVE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"}
_DEFLATED = "1.2.840.10008.1.2.1.99"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_COLOURS = {
    "MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1, "RGB": 3, "YBR_FULL": 3,
    "YBR_FULL_422": 3, "YBR_ICT": 3, "YBR_RCT": 3,
}  # fmt: skip
_DESCRIPTION = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated",
    "BitsStored",
)  # fmt: skip
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def decode(
    data: bytes, *, max_pixels: int, page: int | None, colour_model: ColourModel | None = None
) -> Decoded:
    """Read a DICOM file; `colour_model` overrides a wrong label of its channels."""
    head = pydicom.dcmread(io.BytesIO(data), specific_tags=[], stop_before_pixels=True)
    syntax = head.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        raise ImageError("corrupt", "this dicom is truncated or damaged: it has no transfer syntax")
    if syntax == _DEFLATED:  # decompressing it would come before its size is known
        raise ImageError("unsupported", "deflated DICOM is not supported: convert it first")
    dataset = pydicom.dcmread(io.BytesIO(data))
    if "PixelData" not in dataset:
        _refuse_without_pixels(dataset)
    stored = bytes(dataset.PixelData)
    _check(dataset, max_pixels=max_pixels, stored=len(stored))
    frames = int(dataset.get("NumberOfFrames") or 1)
    index = choose_page(frames, page)
    if colour_model is not None and dataset.PhotometricInterpretation in OVERRIDDEN:
        dataset.PhotometricInterpretation = LABELS[colour_model]
    samples, colours, notes = _samples(dataset, stored, UID(syntax), index, frames)
    pixels, bits, doubts = _in_colour(dataset, samples, colours)
    notes += doubts if colour_model is None else ()
    icc = dataset.get("ICCProfile")
    for name in _PIXELS:
        if name in dataset:
            del dataset[name]
    return Decoded(
        pixels, bytes(icc) if icc else None, None, 1, bits, dataset,
        frame=index + 1 if frames > 1 else None, notes=notes,
    )  # fmt: skip


def _refuse_without_pixels(dataset: Dataset) -> NoReturn:
    """Refuse a file without pixels: of another kind, elsewhere, missing, or never meant."""
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise ImageError("unsupported", "DICOM with floating-point pixels is not supported")
    if "PixelDataProviderURL" in dataset:
        raise ImageError("unsupported", "its pixels are on a server (JPIP): retrieve them first")
    kind = UID(str(dataset.file_meta.get("MediaStorageSOPClassUID", ""))).name[:64]
    if "Rows" in dataset or "Image" in kind or not kind:
        raise ImageError("corrupt", "this dicom is truncated: its pixels are missing")
    raise ImageError("unsupported", f"this DICOM object ({kind}) holds no image")


def _check(dataset: Dataset, *, max_pixels: int, stored: int) -> None:
    """Refuse unsupported pixels by their description, before they are decoded."""
    for name in _DESCRIPTION:
        if dataset.get(name) in (None, ""):
            raise ImageError("corrupt", f"this dicom is damaged: it has no {name}")
    width, height = int(dataset.Columns), int(dataset.Rows)
    check_size(width, height, max_pixels=max_pixels, stored=stored)
    colours, samples = dataset.PhotometricInterpretation, int(dataset.SamplesPerPixel)
    if _COLOURS.get(colours) != samples:
        raise ImageError("unsupported", f"DICOM colours {str(colours)[:32]!r} are not supported")
    allocated, bits = int(dataset.BitsAllocated), int(dataset.BitsStored)
    if allocated not in (8, 16) or not 1 <= bits <= allocated:
        raise ImageError("unsupported", f"DICOM of {bits} bits in {allocated} is not supported")
    if int(dataset.get("HighBit", bits - 1)) != bits - 1 or dataset.get("PixelRepresentation"):
        raise ImageError("unsupported", "DICOM with signed or shifted samples is not supported")


def _samples(
    dataset: Dataset, stored: bytes, syntax: UID, index: int, frames: int
) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """Samples of one frame, `(H, W)` or `(H, W, 3)`, their photometric interpretation, notes."""
    colours = str(dataset.PhotometricInterpretation)
    if syntax in _NATIVE:
        values, notes = _native(dataset, stored, index, frames, big_endian=syntax == _BIG_ENDIAN)
        return values, colours, notes
    if syntax == RLELossless:
        array, _ = get_decoder(syntax).as_array(dataset, index=index, raw=True)
        return array, colours, ()
    shape = (int(dataset.Rows), int(dataset.Columns))
    frame = get_frame(stored, index, number_of_frames=frames)
    return compressed.decode_frame(
        frame, syntax=syntax, shape=shape, colours=colours, bits=int(dataset.BitsStored)
    )


def _native(
    dataset: Dataset, stored: bytes, index: int, frames: int, *, big_endian: bool
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Uncompressed samples of one frame, and notes (PS3.5, 8.1 and 8.2; PS3.3, C.7.6.3.1.2)."""
    height, width = int(dataset.Rows), int(dataset.Columns)
    samples, wide = int(dataset.SamplesPerPixel), int(dataset.BitsAllocated) == 16
    half = dataset.PhotometricInterpretation == "YBR_FULL_422"
    notes: tuple[str, ...] = ()
    if half and len(stored) >= frames * height * width * samples:
        half, notes = False, ("its colours have full resolution, though it says YBR_FULL_422",)
    if half and (wide or width % 2):
        raise ImageError("corrupt", "subsampled colours need 8 bits and an even width")
    count = height * width * (2 if half else samples)
    kind = np.dtype(np.uint16 if wide else np.uint8).newbyteorder(">" if big_endian else "<")
    if (index + 1) * count * kind.itemsize > len(stored):
        raise ImageError("corrupt", "this dicom is truncated: pixels are missing")
    if big_endian and not wide and str(dataset["PixelData"].VR) == "OW":
        stored = np.frombuffer(stored[: len(stored) // 2 * 2], ">u2").astype("<u2").tobytes()
    values = np.frombuffer(stored, kind, count, index * count * kind.itemsize)
    values = values.astype(kind.newbyteorder("="), copy=False)
    if half:
        pairs = values.reshape(height, width // 2, 4)
        luminance = pairs[..., :2].reshape(height, width)
        return np.stack(
            [luminance, *np.repeat(pairs[..., 2:], 2, axis=1).transpose(2, 0, 1)], 2
        ), notes
    if len(stored) - frames * count * kind.itemsize > 1:
        notes += ("bytes after its pixels were ignored",)
    if samples == 1:
        return values.reshape(height, width), notes
    if dataset.get("PlanarConfiguration"):
        return np.moveaxis(values.reshape(samples, height, width), 0, -1), notes
    return values.reshape(height, width, samples), notes


def _in_colour(
    dataset: Dataset, samples: np.ndarray, colours: str
) -> tuple[np.ndarray, int, tuple[str, ...]]:
    """Convert samples to grey or RGB over their full range; also their bit depth, and notes."""
    bits = int(dataset.BitsStored)
    if colours == "PALETTE COLOR":
        return *_from_palette(dataset, samples), ()
    samples = full_range(samples & ((1 << bits) - 1), bits=bits)
    notes = doubt(samples, label=colours)
    if colours == "MONOCHROME1":
        samples = np.iinfo(samples.dtype).max - samples
    elif colours in ("YBR_FULL", "YBR_FULL_422"):
        samples = to_rgb(samples)
    return samples, bits, notes


def _from_palette(dataset: Dataset, samples: np.ndarray) -> tuple[np.ndarray, int]:
    """Look up palette colours; 8 bits if the lower half of the 16-bit entries adds nothing."""
    looked_up = apply_color_lut(samples, dataset)[..., :3]
    if looked_up.dtype == np.uint8:
        return looked_up, 8
    low, high = looked_up & 255, looked_up >> 8
    if not low.any() or (low == high).all():
        return high.astype(np.uint8), 8
    return looked_up.astype(np.uint16), 16
