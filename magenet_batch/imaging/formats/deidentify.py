"""De-identify DICOM attributes after PS3.15, annex E: the basic profile, without options."""

from __future__ import annotations

import uuid

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from magenet_batch.imaging.formats.basic_profile import EMPTIED, REMOVED, REPLACED, UIDS
from magenet_batch.storage import sha256_of

METHOD = "Basic Application Confidentiality Profile, PS3.15 2026c"
CODES = (("113100", "Basic Application Confidentiality Profile"),)
"""Codes of the methods (CID 7050), written into the file."""

TEXT_FOUND = "Pixels not cleaned: what looks like text was found and remains"
TEXT_STATED = "Pixels not cleaned: the source states burned-in annotation"

_DUMMIES = {
    "DA": "19000101", "TM": "000000", "DT": "19000101000000", "AS": "000Y", "IS": "0", "DS": "0",
    "US": 0, "SS": 0, "UL": 0, "SL": 0, "FL": 0.0, "FD": 0.0, "OB": b"\0\0", "OW": b"\0\0",
    "UN": b"\0\0", "SQ": [],
}  # fmt: skip
_DUMMY_TEXT = "REMOVED"
_CURVES, _OVERLAYS = 0x5000, 0x6000  # repeating groups


def deidentify(source: Dataset, *, text_found: bool = False) -> Dataset:
    """Copy a data set without what identifies a person, and state the method in the copy.

    The basic profile leaves pixels as they are (PS3.15, E.2). `PatientIdentityRemoved` speaks of
    attributes and pixels (PS3.3, C.7.1.1), so it is `YES` only where nothing is known to be burned
    into them; `BurnedInAnnotation` is never set to `NO`, which only cleaning the pixels allows
    (PS3.15, E.3.1).

    Args:
        source: data set without pixels; it is not changed.
        text_found: whether the picture seems to show text.

    Returns:
        The copy. Identifiers are replaced by hashes of themselves: equal ones stay equal.
    """
    new = _cleaned(source)
    if text_found:
        new.BurnedInAnnotation = "YES"
    burned_in = new.get("BurnedInAnnotation") == "YES"
    new.PatientIdentityRemoved = "NO" if burned_in else "YES"
    note = TEXT_FOUND if text_found else TEXT_STATED
    new.DeidentificationMethod = [METHOD, note] if burned_in else METHOD
    new.DeidentificationMethodCodeSequence = Sequence(_code(*code) for code in CODES)
    new.LongitudinalTemporalInformationModified = "REMOVED"
    return new


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _cleaned(source: Dataset) -> Dataset:
    new = Dataset()
    for tag in source.keys():  # noqa: SIM118  a data set iterates over its elements
        if tag.is_private or tag.element == 0 or int(tag) in REMOVED:
            continue
        if tag.group & 0xFF00 in (_CURVES, _OVERLAYS):
            continue
        try:
            element = source[tag]
        except (ValueError, TypeError, KeyError, NotImplementedError):
            continue  # a damaged value could hold anything
        new[tag] = _acted_on(element)
    return new


def _acted_on(element: DataElement) -> DataElement:
    tag, kind, value = element.tag, element.VR, element.value
    if int(tag) in EMPTIED:
        return DataElement(tag, kind, [] if kind == "SQ" else None)
    if int(tag) in REPLACED:
        if kind == "UI":
            return DataElement(tag, kind, other_uid(str(value)))
        return DataElement(tag, kind, _DUMMIES.get(kind, _DUMMY_TEXT))
    if kind == "SQ":
        return DataElement(tag, kind, Sequence(_cleaned(item) for item in value))
    if int(tag) in UIDS and value:
        several = [value] if isinstance(value, str) else list(value)
        changed = [other_uid(str(one)) for one in several]
        return DataElement(tag, kind, changed[0] if len(changed) == 1 else changed)
    return DataElement(tag, kind, value, already_converted=True)


def other_uid(value: str) -> UID:
    """The identifier that replaces another one."""
    return hashed_uid("magenet de-identified", value)


def hashed_uid(*parts: str) -> UID:
    """An identifier below 2.25, the arc of UUIDs (ITU-T X.667), made from a hash."""
    digest = bytes.fromhex(sha256_of("\n".join(parts).encode()))
    return UID(f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}")
