"""Write DICOM as a new instance derived from the source, in the same study.

Unique identifiers are hashes of those of the source, the pixels and the provenance: the same job
gives the same bytes, and other weights give another instance.
"""

from __future__ import annotations

import copy
import io

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID

from magenet_batch import __version__
from magenet_batch.errors import ImageError
from magenet_batch.imaging.formats.base import to_bits
from magenet_batch.imaging.formats.deidentify import deidentify, hashed_uid
from magenet_batch.imaging.formats.dicom_pixels import srgb_profile, stored_pixels
from magenet_batch.imaging.formats.dicom_tags import DROPPED, MINIMAL, OF_PATIENT, PLACEHOLDERS
from magenet_batch.imaging.metadata import MetadataPolicy, Provenance
from magenet_batch.settings import Deidentify, DicomSyntax
from magenet_batch.storage import sha256_of

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_ONE_FRAME = {_SECONDARY_CAPTURE, "1.2.840.10008.5.1.4.1.1.77.1.4"}
_SEVERAL_FRAMES = "1.2.840.10008.5.1.4.1.1.7."  # multi-frame secondary captures
_STEREOGRAPHIC, _MAPPED = "1.2.840.10008.5.1.4.1.1.77.1.5.5", "1.2.840.10008.5.1.4.1.1.77.1.5.6"
_WIDE_FIELD = {_STEREOGRAPHIC, _MAPPED}
_OPHTHALMIC = _WIDE_FIELD | {"1.2.840.10008.5.1.4.1.1.77.1.5.1", "1.2.840.10008.5.1.4.1.1.77.1.5.2"}
_LONGEST_LONG_STRING = 64
_ACQUIRED = Tag("AcquisitionDateTime")  # may be missing from a derived image, but not empty
_LOSSY = {
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.91",
}  # fmt: skip


_STEPS = (("113086", "Edge enhancement"), ("113053", "Pixel by pixel multiplication"))
"""What the network does, in the codes of CID 7203: it sharpens, and it evens out the light."""
_REDUCED = ("113085", "Spatial resampling")
_FAMILY = ("123110", "Artificial Intelligence")
"""The family of the algorithm, in the codes of CID 7162."""


def derive(
    pixels: np.ndarray,
    *,
    source: Dataset,
    bit_depth: int,
    icc: bytes | None,
    frame: int | None,
    provenance: Provenance,
    metadata: MetadataPolicy,
    syntax: DicomSyntax = "explicit",
    deidentified: Deidentify = "none",
    text_found: bool = False,
) -> bytes:
    """Write a derived DICOM instance (PS3.3, C.7.6.1.1.2 and C.12.4).

    Args:
        pixels: `(H, W, 3)` RGB, uint8 or uint16 over its full range.
        source: data set of the source, without its pixels.
        bit_depth: stored bits of the source.
        icc: colour profile, or None.
        frame: which frame of several in the source it is, from 1; None for the only one.
        provenance: what enhanced the image.
        metadata: what to carry over.
        syntax: how the pixels are stored.
        deidentified: `basic` removes what identifies a person, after PS3.15.
        text_found: whether the picture seems to show text, which a de-identified file has to say.

    Returns:
        Content of a DICOM file.

    Raises:
        ImageError: `unwritable`, if the source has no identifiers to refer to, or the image was
            reduced or is one of several frames, and its class maps pixels to places in the eye.
    """
    for name in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        if not source.get(name):
            raise ImageError(
                "unwritable", f"its source has no {name}: write another format with --output-format"
            )
    same_size = _size(source) == pixels.shape[:2]
    if source.SOPClassUID == _MAPPED and not (same_size and frame is None):
        raise ImageError(
            "unwritable",
            "its map of pixels to places in the eye does not hold for a reduced image or a single "
            "frame: write another format with --output-format",
        )
    lossy = str(getattr(source, "file_meta", {}).get("TransferSyntaxUID", "")) in _LOSSY
    if deidentified == "basic":
        source = deidentify(source, text_found=text_found)
    new = _carried(source, metadata, same_size=same_size)
    _scale_spacing(new, source, pixels)
    how = [provenance.text, metadata] + [syntax] * (syntax != "explicit")
    _identify(new, source, pixels, " ".join(how))
    _describe(new, source, provenance, metadata)
    _refer(new, source, frame, same_size=same_size)
    if source.SOPClassUID in _WIDE_FIELD:
        icc = icc or srgb_profile()  # compulsory where there are colours
    elif metadata == "none":
        icc = None
    if lossy:
        new.LossyImageCompression = "01"  # an earlier lossy compression remains recorded
    return _saved(new, _fill(new, pixels, bit_depth, icc, syntax))


def _size(source: Dataset) -> tuple[int, int]:
    return int(source.Rows), int(source.Columns)


def _carried(source: Dataset, metadata: MetadataPolicy, *, same_size: bool) -> Dataset:
    """Copy the attributes that still hold and are wanted into a new data set."""
    emptied = OF_PATIENT if metadata == "none" else frozenset()
    new = Dataset()
    for tag in source.keys():  # noqa: SIM118  a data set iterates over its elements
        overlay = tag.group & 0xFF01 == 0x6000
        if tag in DROPPED or tag.element == 0:
            continue
        if (overlay and not same_size) or (metadata != "keep" and tag not in MINIMAL):
            continue
        if tag in emptied:
            if tag != _ACQUIRED:
                new.add_new(tag, source[tag].VR, PLACEHOLDERS.get(tag))
        else:
            new[tag] = copy.copy(source.get_item(tag))  # setting a value changes an element
    return new


def _scale_spacing(new: Dataset, source: Dataset, pixels: np.ndarray) -> None:
    """Adapt the pixel spacing: a reduced image has larger pixels."""
    height, width = _size(source)
    if "PixelSpacing" not in new or pixels.shape[:2] == (height, width):
        return
    scales = (height / pixels.shape[0], width / pixels.shape[1])
    try:
        spacing = [float(value) for value in source.PixelSpacing]
        scaled = [f"{s * k:.9g}" for s, k in zip(spacing, scales, strict=True)]
    except (TypeError, ValueError):  # it is empty, or has letters
        del new.PixelSpacing
        return
    new.PixelSpacing = scaled


def _identify(new: Dataset, source: Dataset, pixels: np.ndarray, how: str) -> None:
    """Assign new identifiers to instance and series; study and patient stay the same."""
    digest = sha256_of(np.ascontiguousarray(pixels).data)
    new.SOPInstanceUID = hashed_uid("magenet", "instance", str(source.SOPInstanceUID), digest, how)
    new.SeriesInstanceUID = hashed_uid("magenet", "series", str(source.SeriesInstanceUID), how)
    number = _number(source, "SeriesNumber")
    new.SeriesNumber = None if number is None else (100 * number + 1) % 2**31
    kind = str(source.SOPClassUID)
    if kind in _OPHTHALMIC:  # has frames and a clock to count them, even if there is only one
        new.NumberOfFrames, new.FrameTime = 1, 0
        new.FrameIncrementPointer = Tag("FrameTime")
    elif kind.startswith(_SEVERAL_FRAMES):
        new.SOPClassUID = _SECONDARY_CAPTURE


def _number(source: Dataset, name: str) -> int | None:
    """An integer of the source, or None if it is missing or no number."""
    try:
        return int(source[name].value)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _describe(
    new: Dataset, source: Dataset, provenance: Provenance, metadata: MetadataPolicy
) -> None:
    """Record that the image is derived, and by what."""
    kinds = source.get("ImageType") or []
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if source.SOPClassUID in _OPHTHALMIC:  # PRIMARY by rule, with the derivation (C.8.17.2.1.4)
        said = kinds[2] if len(kinds) > 2 and kinds[2] else "ENHANCED"
        new.ImageType = ["DERIVED", "PRIMARY", said, *kinds[3:]]
    else:
        new.ImageType = ["DERIVED", "SECONDARY", *kinds[2:]]
    new.DerivationDescription = provenance.text
    new.DerivationAlgorithmSequence = Sequence([_algorithm(provenance)])
    before = str(source.get("SeriesDescription") or "") if metadata == "keep" else ""
    new.SeriesDescription = f"{before[: _LONGEST_LONG_STRING - 20]} enhanced by magenet".strip()
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = Sequence([_code("109102", "Processing Equipment")])
    equipment.Manufacturer = "magenet"
    model = _word(provenance.weights).replace("\\", "?")[:_LONGEST_LONG_STRING]
    equipment.ManufacturerModelName = model or "magenet"
    equipment.SoftwareVersions = __version__
    equipment.ContributionDescription = provenance.text
    earlier = new.get("ContributingEquipmentSequence") or []
    new.ContributingEquipmentSequence = Sequence([*earlier, equipment])


def _refer(new: Dataset, source: Dataset, frame: int | None, *, same_size: bool) -> None:
    """Record what the image was derived from, and in which steps."""
    steps = _STEPS if same_size else (*_STEPS, _REDUCED)
    new.DerivationCodeSequence = Sequence([_code(*step) for step in steps])
    reference = Dataset()
    reference.ReferencedSOPClassUID = source.SOPClassUID
    reference.ReferencedSOPInstanceUID = source.SOPInstanceUID
    if frame is not None and source.SOPClassUID not in _ONE_FRAME:
        reference.ReferencedFrameNumber = frame
    reference.PurposeOfReferenceCodeSequence = Sequence(
        [_code("121322", "Source Image for Image Processing Operation")]
    )
    if same_size:
        reference.SpatialLocationsPreserved = "YES"
    new.SourceImageSequence = Sequence([reference])


def _algorithm(provenance: Provenance) -> Dataset:
    """What derived the image: Algorithm Identification Macro (PS3.3, table 10-19)."""
    item = Dataset()
    item.AlgorithmFamilyCodeSequence = Sequence([_code(*_FAMILY)])
    item.AlgorithmName = item.AlgorithmSource = "magenet"
    item.AlgorithmVersion = __version__
    if provenance.weights:
        told = {"weights": provenance.weights, "weights_hash": provenance.weights_hash}
        item.AlgorithmParameters = ",".join(f"{name}={_word(v)}" for name, v in told.items())
    return item


def _word(text: str) -> str:
    """Text as a value among parameters: printable ASCII that separates nothing."""
    return "".join(c if " " <= c <= "~" and c not in ",=" else "?" for c in text[:160])


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _fill(
    new: Dataset, pixels: np.ndarray, bit_depth: int, icc: bytes | None, syntax: DicomSyntax
) -> UID:
    """Store the pixels with the bit depth of the source; returns the transfer syntax."""
    wide = pixels.dtype == np.uint16
    bits = bit_depth if wide == (bit_depth > 8) else 8 * pixels.dtype.itemsize
    if new.SOPClassUID in _OPHTHALMIC:  # compulsory for these classes
        bits = 8 * pixels.dtype.itemsize
    stored = stored_pixels(to_bits(pixels, bits=bits), bits=bits, syntax=syntax)
    new.Rows, new.Columns = pixels.shape[:2]
    new.SamplesPerPixel, new.PlanarConfiguration = 3, 0
    new.PhotometricInterpretation = stored.colours
    new.BitsAllocated, new.BitsStored, new.HighBit = (16 if wide else 8), bits, bits - 1
    new.PixelRepresentation = 0
    if icc:
        new.ICCProfile = icc + b"\0" * (len(icc) % 2)
    new.add_new("PixelData", stored.vr, stored.data)
    return stored.syntax


def _saved(new: Dataset, syntax: UID) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = hashed_uid("magenet", "implementation")
    meta.ImplementationVersionName = f"MAGENET_{__version__}"[:16]
    new.file_meta = meta
    out = io.BytesIO()
    new.save_as(out, enforce_file_format=True)
    return out.getvalue()
