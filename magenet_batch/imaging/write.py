"""Write images: the format of the source, and the same bytes every time."""

from __future__ import annotations

import numpy as np

from magenet_batch.errors import ImageError
from magenet_batch.imaging.formats import encode
from magenet_batch.imaging.metadata import MetadataPolicy, Provenance, software
from magenet_batch.imaging.read import FundusImage
from magenet_batch.settings import Deidentify, DicomSyntax


def encode_image(
    pixels: np.ndarray,
    *,
    like: FundusImage | None = None,
    format: str = "png",
    quality: int = 95,
    metadata: MetadataPolicy = "keep",
    provenance: Provenance | None = None,
    dicom_syntax: DicomSyntax = "explicit",
    deidentify: Deidentify = "none",
    text_found: bool = False,
) -> bytes:
    """Encode an image; the same input gives the same bytes.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16; JPEG keeps the upper 8 bits.
        like: the source, from which `metadata` is carried over.
        format: jpeg (4:4:4), png, tiff, jpeg2000 (all lossless), or dicom if the source is DICOM.
        quality: JPEG quality, 1..100.
        metadata: what to carry over.
        provenance: what enhanced the image; None if it is not enhanced.
        dicom_syntax: how the pixels of a DICOM file are stored.
        deidentify: `basic` applies the basic profile of PS3.15 to DICOM, and carries no EXIF over
            to other formats.
        text_found: whether the picture seems to show text; de-identified DICOM then says so.

    Returns:
        Content of the file.

    Raises:
        ImageError: `unwritable`, if the encoder fails.
    """
    try:
        if format == "dicom":
            return _dicom(pixels, like, metadata, provenance, dicom_syntax, deidentify, text_found)
        if deidentify == "basic" and metadata == "keep":
            metadata = "minimal"
        tags = encode.Tags(
            software=software() if provenance is None else provenance.text,
            icc=None if like is None or metadata == "none" else like.icc,
            exif=None if like is None or metadata != "keep" else like.exif,
            bit_depth=8 * pixels.dtype.itemsize if like is None else like.bit_depth,
            density=None if like is None or metadata != "keep" else _density(like, pixels),
            gamma=None if like is None or metadata == "none" else like.gamma,
        )
        if format == "jpeg":
            return encode.jpeg(pixels, tags=tags, quality=quality)
        encoders = {"png": encode.png, "tiff": encode.tiff, "jpeg2000": encode.jpeg2000}
        return encoders[format](pixels, tags=tags)
    except (ImageError, MemoryError):
        raise
    except (
        Exception
    ) as error:  # encoders raise many types because of tags carried over from a source
        said = " ".join(str(error).split())[:160] or type(error).__name__
        hint = "; --metadata minimal drops damaged tags" if metadata == "keep" else ""
        raise ImageError("unwritable", f"it cannot be encoded as {format}: {said}{hint}") from error


def _density(like: FundusImage, pixels: np.ndarray) -> tuple[float, float] | None:
    """Dots per inch that keep the printed size of the source, also of a reduced output."""
    if like.density is None:
        return None
    height, width = pixels.shape[:2]
    across, down = like.density
    return across * width / like.size[0], down * height / like.size[1]


def _dicom(
    pixels: np.ndarray,
    like: FundusImage | None,
    metadata: MetadataPolicy,
    provenance: Provenance | None,
    syntax: DicomSyntax,
    deidentify: Deidentify,
    text_found: bool,
) -> bytes:
    if like is None or like.dataset is None:
        raise ImageError("unwritable", "only DICOM sources can be written as DICOM")
    from magenet_batch.imaging.formats import derive  # slow to import, and rarely needed

    return derive.derive(
        pixels, source=like.dataset, bit_depth=like.bit_depth,
        icc=like.icc, frame=like.frame, provenance=provenance or Provenance(),
        metadata=metadata, syntax=syntax, deidentified=deidentify, text_found=text_found,
    )  # fmt: skip
