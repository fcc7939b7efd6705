"""Addresses of studies and instances on DICOMweb servers."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from magenet_batch.errors import UsageError

_PREFIX = "dicomweb+"
_SCHEME = re.compile(r"dicomweb\+https?://", re.IGNORECASE)
_VALUE = re.compile(r"=[^&]*")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_UID_CHARACTERS = 64
_USUAL_KEYS = (
    "PatientID", "PatientName", "PatientBirthDate", "StudyDate", "StudyInstanceUID", "StudyID",
    "StudyDescription", "AccessionNumber", "ModalitiesInStudy", "ReferringPhysicianName",
)  # fmt: skip
_FORM = "dicomweb+https://HOST/dicom-web/studies/UID, or .../studies?StudyDate=20240101-20240131"


class Instance(NamedTuple):
    """The identifiers of one DICOM instance."""

    study: str
    series: str
    sop: str

    @property
    def key(self) -> str:
        """Relative path that stands for the instance in an archive."""
        return f"{self.study}/{self.series}/{self.sop}.dcm"

    @property
    def path(self) -> str:
        """The path below a server's address (PS3.18, 10.4.1)."""
        return f"studies/{self.study}/series/{self.series}/instances/{self.sop}"


@dataclass(frozen=True)
class Address:
    """A parsed address.

    Attributes:
        base: address of the DICOMweb service: `https://HOST/dicom-web`.
        study: identifier of a study; None for all that match the query.
        series: identifier of a series of the study; None for all.
        sop: identifier of an instance of the series; None for all.
        query: attributes that studies must match: keyword or tag -> value.
    """

    base: str
    study: str | None = None
    series: str | None = None
    sop: str | None = None
    query: tuple[tuple[str, str], ...] = ()

    @property
    def instance(self) -> Instance:
        """The instance, for an address that is one of an instance."""
        if self.study is None or self.series is None or self.sop is None:
            raise UsageError(f"{_PREFIX}{self.base}: not the address of an instance.")
        return Instance(self.study, self.series, self.sop)


def is_dicomweb(text: str) -> bool:
    """Whether a text is an address on a DICOMweb server."""
    return _SCHEME.match(text) is not None


def masked(text: str) -> str:
    """A DICOMweb address without the values of its query, which may identify patients.

    Args:
        text: any text; others than addresses stay as they are.
    """
    if not is_dicomweb(text):
        return text
    path, mark, query = text.partition("?")
    return path + mark + _VALUE.sub("=***", query)


def is_uid(text: str) -> bool:
    """Whether a text has the form of a DICOM unique identifier (PS3.5, 9.1)."""
    return len(text) <= _UID_CHARACTERS and _UID.fullmatch(text) is not None


def source_of(base: str, instance: Instance) -> str:
    """Address of an instance, as rows and plans record it."""
    return f"{_PREFIX}{base}/{instance.path}"


def parse_address(text: str) -> Address:
    """Parse an address.

    Args:
        text: `dicomweb+http://` or `dicomweb+https://`, the address of a DICOMweb service, and
            `/studies`, `/studies/UID`, `/series/UID` or `/instances/UID` below it, or a query.

    Raises:
        UsageError: the address is incomplete, holds a password, or its query is invalid.
    """
    shown = masked(text)
    try:
        split = urlsplit(text[len(_PREFIX) :])
        host = split.hostname
        _ = split.port
    except ValueError as error:
        raise UsageError(f"{shown}: not a valid address ({error}). Give {_FORM}.") from error
    if not is_dicomweb(text) or not host:
        raise UsageError(f"{shown}: not the address of a DICOMweb server. Give {_FORM}.")
    if "@" in split.netloc:
        raise UsageError(
            "Leave user and password out of the address of a DICOMweb server: set "
            "DICOMWEB_USERNAME and DICOMWEB_PASSWORD, or DICOMWEB_TOKEN."
        )
    parts = [part for part in split.path.split("/") if part]
    at = parts.index("studies") if "studies" in parts else len(parts)
    prefix, below = parts[:at], parts[at + 1 :]
    base = "/".join([f"{split.scheme.lower()}://{split.netloc}", *prefix])
    uids = below[::2]
    if below[1::2] != ["series", "instances"][: len(below) // 2] or len(uids) > 3:
        raise UsageError(f"{shown}: not the address of studies. Give {_FORM}.")
    for uid in uids:
        if not is_uid(uid):
            raise UsageError(f"{shown}: '{uid}' is not a DICOM unique identifier.")
    query = tuple(parse_qsl(split.query, keep_blank_values=True))
    _check_query(query, shown, below=bool(uids))
    study, series, sop = (*uids, None, None, None)[:3]
    return Address(base, study, series, sop, query)


def parse_archive(text: str) -> Address:
    """Parse the address of an archive: a study, a series, an instance, or a query.

    Raises:
        UsageError: it names only the server, or is invalid.
    """
    address = parse_address(text)
    whole = re.search(r"/studies/?$", text) is not None  # all of them, and on purpose
    if address.study is None and not address.query and not whole:
        raise UsageError(f"{masked(text)}: says not which studies. Give {_FORM}.")
    return address


def parse_base(text: str) -> str:
    """Parse the address of a service, with `dicomweb+` before it or without.

    Returns:
        The address: `https://HOST/dicom-web`.

    Raises:
        UsageError: it is invalid, or has something below it.
    """
    address = parse_address(text if is_dicomweb(text) else _PREFIX + text)
    if address.study is not None or address.query:
        raise UsageError(
            f"{masked(text)}: give only the address of the service, such as {address.base}."
        )
    return address.base


def _check_query(query: tuple[tuple[str, str], ...], shown: str, *, below: bool) -> None:
    """Refuse a query that a server might ignore, and then list all that it has."""
    if query and below:
        raise UsageError(f"{shown}: give either a study or a query.")
    for key, value in query:
        if not _known(key):
            near = difflib.get_close_matches(key, _USUAL_KEYS, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise UsageError(
                f"{shown}: no DICOM attribute is called '{key}': {hint}Usual ones are: "
                f"{', '.join(_USUAL_KEYS)}."
            )
        if not value.strip():
            raise UsageError(f"{shown}: {key} has no value.")


def _known(key: str) -> bool:
    if key in _USUAL_KEYS or re.fullmatch(r"[0-9A-Fa-f]{8}", key):
        return True
    from pydicom.datadict import tag_for_keyword

    return tag_for_keyword(key) is not None
