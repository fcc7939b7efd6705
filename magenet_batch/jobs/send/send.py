"""Store a job's delivered DICOM images on a DICOMweb server, each of them once.

What was stored is recorded in the output folder, shard by shard. What is not recorded is looked up
on the server before it is stored, so a crash between storing and recording stores nothing twice.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from magenet_batch.dicomweb import DicomwebError, Server, connect_server
from magenet_batch.errors import UsageError
from magenet_batch.jobs.engine.progress import Progress, SilentProgress
from magenet_batch.jobs.ledger.lock import job_lock
from magenet_batch.jobs.send.result import SendResult
from magenet_batch.jobs.send.sent import SentShard, shards_to_send
from magenet_batch.jobs.work.worker import Counters
from magenet_batch.records.layout import state_files
from magenet_batch.storage import Location

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


class _SendError(Exception):
    """An image that cannot be sent; the others can."""


def send(
    out: Location,
    base: str,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> SendResult:
    """Store the delivered DICOM images of a job that a server does not have.

    Args:
        out: output folder of the job.
        base: address of the DICOMweb service, such as `https://HOST/dicom-web`.
        dry_run: only count; neither the server nor the folder is touched.
        progress: shows the progress; None shows nothing.
        say: prints messages.

    Returns:
        What was stored, and what was not.

    Raises:
        UsageError: there is no job, or it has no DICOM outputs.
        JobError: a job is running in the folder.
        DicomwebError: the server refuses everything, or does not respond; what was stored until
            then is recorded.
        StorageError: the output folder cannot be written to.
    """
    if not state_files(out):
        raise UsageError(
            f"{out}: no job in this folder. Give the folder that `magenet enhance -o` wrote to."
        )
    if dry_run:
        return _counted(out, base, dry=True)
    with job_lock(out):
        result = _counted(out, base)
        if result.before == result.images:
            return result
        server = connect_server(base)
        _require_service(server)
        say(result.plan())
        shown = progress or SilentProgress()
        shown.start(result.images - result.before)
        try:
            for shard in shards_to_send(out, base):
                _send_shard(shard, out, server, result, shown)
        finally:
            shown.close()
    return result


def _counted(out: Location, base: str, *, dry: bool = False) -> SendResult:
    result = SendResult(str(out), base, dry=dry)
    for shard in shards_to_send(out, base):
        result.images += len(shard.outputs)
        result.before += len(shard.outputs) - len(shard.left)
    if not result.images:
        raise UsageError(
            f"{out} holds no delivered DICOM images. Only outputs of DICOM originals can be sent, "
            "and only in their own format (--output-format source)."
        )
    return result


def _require_service(server: Server) -> None:
    """Refuse an address without a DICOMweb service, before each image fails with the same words."""
    try:
        server.require()
    except DicomwebError as error:
        if error.persistent or error.status == 403:
            raise
        raise UsageError(str(error)) from error


def _send_shard(
    shard: SentShard, out: Location, server: Server, result: SendResult, progress: Progress
) -> None:
    """Send what is left of a shard, and record it, however that ends."""
    left = shard.left
    if not left:
        return
    before = shard.sent
    # Of changed rows, only what is confirmed now is recorded.
    shard.sent = dict(before) if shard.known_rows == shard.rows else {}
    try:
        for output in left:
            try:
                shard.sent[output] = _send_one(
                    out / output, server, result, known=before.get(output)
                )
            except _SendError as error:
                result.failed.append(f"{output}: {error}")
            done = result.there + result.stored + len(result.failed)
            progress.update(Counters(images=done, failed=len(result.failed)))
    finally:
        shard.save()


def _send_one(path: Location, server: Server, result: SendResult, *, known: str | None) -> str:
    """Store one image, unless the server has it; returns its identifier."""
    dataset = _dataset(path)
    study, sop = str(dataset.StudyInstanceUID), str(dataset.SOPInstanceUID)
    try:
        if known == sop or server.has(study, sop):
            result.there += 1
        else:
            server.store(dataset)
            result.stored += 1
    except DicomwebError as error:
        if error.persistent:
            raise
        raise _SendError(error.why) from error
    return sop


def _dataset(path: Location) -> Dataset:
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        dataset = pydicom.dcmread(io.BytesIO(path.read_bytes()))
    except OSError as error:
        why = "it is gone; add --retry-failed to the job's command to recreate it"
        raise _SendError(why) from error
    except (InvalidDicomError, ValueError, EOFError) as error:
        raise _SendError("it is not DICOM") from error
    if not (dataset.get("StudyInstanceUID") and dataset.get("SOPInstanceUID")):
        raise _SendError("it has no identifiers")
    return dataset
