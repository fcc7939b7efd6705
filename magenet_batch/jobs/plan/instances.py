"""Archives on DICOMweb servers: the photographs of a study, or of the studies of a query."""

from __future__ import annotations

from collections.abc import Iterator

from magenet_batch.dicomweb import Address, DicomwebError, Instance, connect_server, masked
from magenet_batch.dicomweb.address import parse_archive, source_of
from magenet_batch.dicomweb.server import PHOTOGRAPHS, Entry, Server, class_of, valid
from magenet_batch.errors import UsageError
from magenet_batch.jobs.plan.listing import Choice, Found, Skipped


def list_instances(uri: str, *, choice: Choice, skipped: Skipped) -> Iterator[Found]:
    """List the photographs on a DICOMweb server, sorted by their identifiers.

    Args:
        uri: address of a study or series, or a query; see `dicomweb.address.parse_address`.
        choice: which instances count as images, by their names `STUDY/SERIES/INSTANCE.dcm`.
        skipped: counts what is left out: other SOP classes, and what was enhanced before.

    Yields:
        The images; their sizes are unknown.

    Raises:
        UsageError: the address is invalid, or there is no DICOMweb service.
        DicomwebError: the server refuses or does not respond.
    """
    address = parse_archive(uri)
    server = connect_server(address.base)
    try:
        for study in _studies(server, address):
            for instance, entry in server.instances(study, series=address.series):
                if address.sop in (None, instance.sop) and _takes(
                    server, instance, entry, choice=choice, skipped=skipped
                ):
                    yield Found(instance.key, source_of(address.base, instance), None)
    except DicomwebError as error:
        if error.persistent or error.status == 403:
            raise
        raise UsageError(f"{masked(uri)} cannot be listed. {error}") from error


def _studies(server: Server, address: Address) -> list[str]:
    return [address.study] if address.study is not None else server.studies(dict(address.query))


def _takes(
    server: Server, instance: Instance, entry: Entry, *, choice: Choice, skipped: Skipped
) -> bool:
    kind = class_of(entry)
    if kind and kind not in PHOTOGRAPHS:
        skipped.classes[_class_name(kind)] += 1
        return False
    if not valid(instance):
        skipped.unreadable.append("an instance whose identifiers are invalid")
        return False
    if not choice.takes(instance.key, skipped):
        return False
    if server.enhanced_before(instance, entry):
        skipped.enhanced += 1
        return False
    return True


def _class_name(uid: str) -> str:
    from pydicom.uid import UID

    return UID(uid).name
