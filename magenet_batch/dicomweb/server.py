"""A DICOMweb server: search, retrieve, store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from magenet_batch.dicomweb.address import Instance, is_uid
from magenet_batch.dicomweb.errors import DicomwebError, translated
from magenet_batch.dicomweb.session import open_session
from magenet_batch.errors import require_extra

if TYPE_CHECKING:
    import requests
    from dicomweb_client.api import DICOMwebClient
    from pydicom.dataset import Dataset

PHOTOGRAPHS = (
    "1.2.840.10008.5.1.4.1.1.77.1.5.1",  # Ophthalmic Photography 8 Bit
    "1.2.840.10008.5.1.4.1.1.77.1.5.2",  # Ophthalmic Photography 16 Bit
    "1.2.840.10008.5.1.4.1.1.77.1.5.5",  # Wide Field Ophthalmic Photography Stereographic
    "1.2.840.10008.5.1.4.1.1.77.1.5.6",  # Wide Field Ophthalmic Photography 3D Coordinates
    "1.2.840.10008.5.1.4.1.1.77.1.4",  # VL Photographic
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture
)
"""SOP classes that can hold a fundus photograph."""
TRIES = 5
"""Number of attempts before a server counts as unreachable."""
BACKOFF_S = 0.5
"""Delay before the second attempt, seconds; it doubles each time."""
TIMEOUT_S = (10, 120)
"""Time to connect, and between two pieces of an answer, seconds."""
PAGE = 1000
"""Number of matches to request at a time; servers may return fewer."""
_PIECE = 1 << 20
_WHOLE = 'multipart/related; type="application/dicom"; transfer-syntax=*'  # as it is stored
_CLASS, _SOP, _STUDY, _SERIES = "00080016", "00080018", "0020000D", "0020000E"
_DERIVATION = "00082111"
_OWN_ARC = "2.25."  # of the identifiers that `imaging.formats.derive` assigns
_OWN_MARK = "magenet "  # begins the DerivationDescription of every enhanced image

Entry = Mapping[str, Any]
"""A data set in the DICOM JSON model: tag -> value representation and values."""


class Server:
    """A DICOMweb server.

    Every method raises `DicomwebError` when the server refuses or does not respond.

    Args:
        base: address of the service, such as `https://HOST/dicom-web`.

    Raises:
        MissingExtraError: the extra `dicomweb` is not installed.
        UsageError: the credentials in the environment are incomplete, or its certificates cannot
            be read.
    """

    def __init__(self, base: str) -> None:
        require_extra("dicomweb", modules=("dicomweb_client",), purpose="DICOMweb")
        self.base = base
        self._session = open_session(tries=TRIES, backoff_s=BACKOFF_S)
        self._client = _client(base, self._session)

    def require(self) -> None:
        """Check that there is a DICOMweb service that allows searches."""
        with translated(self.base):
            self._client.search_for_studies(limit=1)

    def studies(self, query: Mapping[str, str]) -> list[str]:
        """Identifiers of the studies that match a query, sorted.

        Args:
            query: keyword or tag -> value; empty for all studies.
        """
        search = self._client.search_for_studies
        with translated(self.base):
            return sorted({_value(e, _STUDY) for e in self._pages(search, query, _STUDY)})

    def instances(
        self, study: str, *, series: str | None = None, query: Mapping[str, str] | None = None
    ) -> list[tuple[Instance, Entry]]:
        """Instances of a study or series, sorted, each with its entry on the server.

        Args:
            study: identifier of the study.
            series: identifier of the series; None for all.
            query: attributes that they must match.
        """

        def search(**how: Any) -> list[dict[str, dict[str, Any]]]:
            return self._client.search_for_instances(
                study, series, fields=["DerivationDescription"], **how
            )

        with translated(self.base):
            found = {
                Instance(study, series or _value(e, _SERIES), _value(e, _SOP)): e
                for e in self._pages(search, query or {}, _SOP)
            }
        return sorted(found.items(), key=lambda pair: pair[0])

    def has(self, study: str, sop: str) -> bool:
        """Whether the server has an instance."""
        try:
            found = self.instances(study, query={"SOPInstanceUID": sop})
        except DicomwebError as error:
            if error.status == 404:  # some servers say so of a study that they do not have
                return False
            raise
        return any(instance.sop == sop for instance, _ in found)

    def enhanced_before(self, instance: Instance, entry: Entry) -> bool:
        """Whether an instance is itself an output of this program.

        Args:
            instance: the instance.
            entry: as `instances` gives it. A server need not include its derivation; its
                metadata are then requested.
        """
        if not instance.sop.startswith(_OWN_ARC):
            return False
        if _DERIVATION not in entry:
            with translated(self.base):
                entry = self._client.retrieve_instance_metadata(*instance)
        return str((entry.get(_DERIVATION, {}).get("Value") or [""])[0]).startswith(_OWN_MARK)

    def fetch(
        self, instance: Instance, *, check: Callable[[int], None] = lambda length: None
    ) -> bytes:
        """Retrieve an instance: the same bytes that the server holds, not a re-encoded copy.

        Args:
            instance: the instance.
            check: called with the number of bytes so far; raises if it must not be more.

        Returns:
            Content of a DICOM file.
        """
        from requests.exceptions import ChunkedEncodingError

        with translated(self.base):
            for _ in range(TRIES - 1):
                with contextlib.suppress(ChunkedEncodingError):  # lost after the answer began
                    return self._fetch(f"{self.base}/{instance.path}", check)
            return self._fetch(f"{self.base}/{instance.path}", check)

    def store(self, dataset: Dataset) -> None:
        """Store one instance; the server has it when this returns."""
        study, sop = str(dataset.StudyInstanceUID), str(dataset.SOPInstanceUID)
        with translated(self.base):
            answer = self._client.store_instances([dataset])
        failed = answer.get("FailedSOPSequence") or []
        if failed:
            code = int(failed[0].get("FailureReason") or 0)
            why = f"it refuses the image (failure reason {code:04X}H)"
            raise DicomwebError(f"{self.base}: {why}.", why=why)
        if not answer.get("ReferencedSOPSequence") and not self.has(study, sop):
            why = "it accepted the image but does not list it"
            raise DicomwebError(f"{self.base}: {why}.", why=why)

    def _fetch(self, url: str, check: Callable[[int], None]) -> bytes:
        with self._session.get(
            url, headers={"Accept": _WHOLE}, stream=True, timeout=TIMEOUT_S
        ) as answer:
            if answer.status_code == 404:
                raise refused_instance(self.base)
            answer.raise_for_status()
            content = bytearray()
            for piece in answer.iter_content(_PIECE):
                content += piece
                check(len(content))
            return only_part(bytes(content), answer.headers.get("Content-Type", ""))

    def _pages(
        self,
        search: Callable[..., list[dict[str, dict[str, Any]]]],
        query: Mapping[str, str],
        tag: str,
    ) -> Iterator[Entry]:
        """All matches of a search; ends also with servers that ignore `offset`."""
        seen: set[str] = set()
        got = 0
        while True:
            page = search(limit=PAGE, offset=got, search_filters=dict(query) or None)
            new = [entry for entry in page if _value(entry, tag) not in seen]
            yield from new
            if not new:
                return
            seen.update(_value(entry, tag) for entry in new)
            got += len(page)


@lru_cache(maxsize=4)
def connect_server(base: str) -> Server:
    """The server at an address; one connection per process."""
    return Server(base)


def only_part(content: bytes, content_type: str) -> bytes:
    """The first part of a multipart answer; content of any other type as it is.

    Raises:
        ValueError: the answer ends early, or has no parts.
    """
    if not content_type.lower().startswith("multipart/"):
        return content
    header = Message()
    header["Content-Type"] = content_type
    marker = b"--" + str(header.get_boundary(failobj="")).encode()
    begin = content.index(b"\r\n\r\n", content.index(marker)) + 4
    return content[begin : content.index(b"\r\n" + marker, begin)]


def refused_instance(base: str) -> DicomwebError:
    """The error for an instance that is gone."""
    why = "the server does not have it any more (404)"
    return DicomwebError(f"{base}: {why}.", why=why, status=404)


def class_of(entry: Entry) -> str:
    """SOP class of what a search found; empty if the server does not tell."""
    return _value(entry, _CLASS, default="")


def valid(instance: Instance) -> bool:
    """Whether all identifiers have the form that DICOM wants, and can be parts of a path."""
    return all(is_uid(uid) for uid in instance)


def _value(entry: Entry, tag: str, *, default: str | None = None) -> str:
    if default is not None and not entry.get(tag, {}).get("Value"):
        return default
    return str(entry[tag]["Value"][0])


def _client(base: str, session: requests.Session) -> DICOMwebClient:
    from dicomweb_client.api import DICOMwebClient

    client = DICOMwebClient(
        base, session=session, timeout=TIMEOUT_S, permissive_uid=True,
        chunk_size=1 << 31,  # in pieces, a request could not be repeated
    )  # fmt: skip
    client.set_http_retry_params(retry=False)  # the session does that, also for `fetch`
    return client
