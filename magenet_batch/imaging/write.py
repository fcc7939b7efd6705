"""Writing images: same format as the source, same bytes every time, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np

from magenet_batch.errors import ImageError
from magenet_batch.imaging.formats import encode
from magenet_batch.imaging.metadata import MetadataPolicy, Provenance, software
from magenet_batch.imaging.read import FundusImage
from magenet_batch.storage import Location, StorePath

PUT_TRIES = 3


def encode_image(
    pixels: np.ndarray,
    *,
    like: FundusImage | None = None,
    format: str = "png",
    quality: int = 95,
    metadata: MetadataPolicy = "keep",
    provenance: Provenance | None = None,
) -> bytes:
    """Encode an image; the same input gives the same bytes.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16; JPEG keeps the upper 8 bits.
        like: the source, of which is carried over what `metadata` says.
        format: jpeg (4:4:4), png, tiff, jpeg2000 (all lossless), or dicom, if the source is one.
        quality: of JPEG, 1..100.
        metadata: what to carry over.
        provenance: who enhanced the image; None does not call it enhanced.

    Raises:
        ImageError: `unwritable`, if the encoder fails.
    """
    try:
        if format == "dicom":
            return _dicom(pixels, like, metadata, provenance)
        tags = encode.Tags(
            software=software() if provenance is None else provenance.text,
            icc=None if like is None or metadata == "none" else like.icc,
            exif=None if like is None or metadata != "keep" else like.exif,
            bit_depth=8 * pixels.dtype.itemsize if like is None else like.bit_depth,
        )
        if format == "jpeg":
            return encode.jpeg(pixels, tags=tags, quality=quality)
        encoders = {"png": encode.png, "tiff": encode.tiff, "jpeg2000": encode.jpeg2000}
        return encoders[format](pixels, tags=tags)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # encoders raise many kinds over tags that a source brought along
        said = " ".join(str(error).split())[:160] or type(error).__name__
        hint = "; --metadata minimal leaves damaged tags out" if metadata == "keep" else ""
        raise ImageError("unwritable", f"it cannot be encoded as {format}: {said}{hint}") from error


def _dicom(
    pixels: np.ndarray,
    like: FundusImage | None,
    metadata: MetadataPolicy,
    provenance: Provenance | None,
) -> bytes:
    if like is None or like.dataset is None:
        raise ImageError("unwritable", "only images that were DICOM are written as DICOM")
    from magenet_batch.imaging.formats import derive  # slow to import, and seldom needed

    return derive.derive(
        pixels, source=like.dataset, bit_depth=like.bit_depth,
        icc=None if metadata == "none" else like.icc,
        provenance=provenance or Provenance(), metadata=metadata,
    )  # fmt: skip


def write_atomic(path: Location, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, flushed to the disk; or put an object.

    Raises:
        ImageError: `unwritable`, with the operating system's words as its cause.
        JobError: the store takes nothing.
    """
    if isinstance(path, StorePath):
        path.write_bytes(data)
        return

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    try:
        put_whole(path, write)
    except OSError as error:
        raise ImageError(
            "unwritable", f"{path} cannot be written: {error.strerror or error}"
        ) from error


def put_whole(path: Path, make: Callable[[Path], None]) -> None:
    """Make something under a temporary name in the same folder, then rename it.

    The folder is made if it is missing. A temporary name that vanishes meanwhile was swept by a
    job that took over from this one, or works beside it: it is made again.

    Args:
        path: its final name; what is there is replaced in one step.
        make: makes it under the name that it is given.

    Raises:
        OSError: the folder takes nothing.
    """
    for tries_left in reversed(range(PUT_TRIES)):
        temporary = path.parent / f".magenet-{uuid.uuid4().hex}.tmp"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            make(temporary)
            temporary.replace(path)
            return
        except FileNotFoundError:
            if not tries_left:
                raise
        except BaseException:
            _remove(temporary)
            raise


def _remove(path: Path) -> None:
    """Remove a temporary file; what prevents that is what prevented writing it."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
