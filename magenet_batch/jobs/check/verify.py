"""Compares every output, and every original, with the hash in its row.

What is found in a shard is recorded as soon as the shard is done, with the hash of its rows. An
interrupted verification resumes from these records; a finished one removes them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from functools import partial
from typing import Any

from magenet_batch.errors import ImageError
from magenet_batch.jobs.check.look import ledger_of, look_at
from magenet_batch.jobs.check.result import Finding, Verification
from magenet_batch.jobs.engine.progress import Progress
from magenet_batch.jobs.ledger.ledger import Ledger, sweep_records
from magenet_batch.jobs.ledger.lock import job_lock
from magenet_batch.jobs.plan.plan import Task
from magenet_batch.jobs.work.content import read_source
from magenet_batch.records.layout import (
    IMAGES,
    VERIFIED,
    damaged_name,
    lies_in,
    rows_file,
    sidecar_name,
    verified_file,
)
from magenet_batch.records.run_info import now
from magenet_batch.records.schema import Row
from magenet_batch.records.sidecar import sidecar_content
from magenet_batch.settings import MAX_PIXELS
from magenet_batch.storage import (
    Location,
    names_in,
    remove_file,
    sha256_of,
    write_atomic,
    write_json,
)

_COLUMNS = ["image_id", "status", "sha256", "output", "output_sha256", "removed"]
LAST = "last.json"


def verify(
    out: Location,
    *,
    originals: bool = True,
    set_aside: bool = False,
    threads: int,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Verification:
    """Verify the files of a job, or resume an interrupted verification.

    Args:
        out: output folder of the job.
        originals: whether to read the originals too.
        set_aside: whether to move damaged outputs out of the way, so that `--retry-failed`
            recreates them.
        threads: number of files that are read at a time.
        progress: shows the progress; None shows nothing.
        stop: set it from another thread to stop.

    Returns:
        What was found.

    Raises:
        UsageError: there is no job.
        JobError: a job is running in the folder, or rows cannot be read.
        StorageError: the folder cannot be written to, or a server refuses everything.
    """
    ledger = ledger_of(out)
    with job_lock(out) as lease:
        ledger.lease = lease
        sweep_records(out)
        done = sorted(ledger.done())
        how = {"originals": originals, "set_aside": set_aside}
        known = {s: found for s in done if (found := _known(ledger, s, how)) is not None}
        left = [shard for shard in done if shard not in known]

        def keep(shard: int, found: list[list[Finding]]) -> None:
            findings = [one for several in found for one in several]
            if set_aside:
                _set_aside(out, findings)
            known[shard] = _record(ledger, shard, findings, how)

        finished = look_at(
            ledger, left, columns=None if ledger.sidecars else _COLUMNS, keep=keep,
            each=partial(_look, out, originals=originals, sidecars=ledger.sidecars),
            threads=threads, progress=progress, stop=stop,
        )  # fmt: skip
        result = _result(ledger, known.values(), how, finished=finished)
        if finished:
            write_json(result.as_json(), out / VERIFIED / LAST)
            for name in names_in(out / VERIFIED):
                if name.startswith("part-"):
                    remove_file(out / VERIFIED / name, root=out)
    return result


def _look(out: Location, task: Task, row: Row, *, originals: bool, sidecars: bool) -> list[Finding]:
    """What is wrong with one image."""
    found = []
    if row["output"] is not None and (what := _output_problem(out, row)):
        found.append(Finding(row["image_id"], what, row["output"]))
    if sidecars and (what := _sidecar_problem(out, row)):
        found.append(Finding(row["image_id"], what, sidecar_name(row["image_id"])))
    if originals and row["sha256"] is not None and row["removed"] is None:
        what = _original_problem(task, row)
        if what:
            found.append(Finding(row["image_id"], what, None))
    return found


def _output_problem(out: Location, row: Row) -> str | None:
    try:
        content = (out / row["output"]).read_bytes()
    except OSError:
        return "output_missing"
    if row["output_sha256"] is None:
        return None if content else "output_damaged"
    return None if sha256_of(content) == row["output_sha256"] else "output_damaged"


def _sidecar_problem(out: Location, row: Row) -> str | None:
    try:
        content = (out / sidecar_name(row["image_id"])).read_bytes()
    except OSError:
        return "sidecar_missing"
    return None if content == sidecar_content(row) else "sidecar_damaged"


def _original_problem(task: Task, row: Row) -> str | None:
    try:
        content = read_source(task, max_pixels=MAX_PIXELS)
    except ImageError:
        return "original_missing"
    return None if sha256_of(content) == row["sha256"] else "original_changed"


def _set_aside(out: Location, findings: Iterable[Finding]) -> None:
    """Move damaged outputs and sidecars out of the way; nothing is lost if this is interrupted."""
    for one in findings:
        if one.what.endswith("_damaged") and one.output and lies_in(IMAGES, one.output):
            path = out / one.output
            write_atomic(out / damaged_name(one.output), path.read_bytes(), root=out)
            remove_file(path, root=out)


def _record(
    ledger: Ledger, shard: int, findings: list[Finding], how: dict[str, bool]
) -> dict[str, Any]:
    found = {
        "rows": sha256_of(rows_file(ledger.out, shard).read_bytes()), **how,
        "findings": [one._asdict() for one in findings],
    }  # fmt: skip
    write_json(found, verified_file(ledger.out, shard))
    return found


def _known(ledger: Ledger, shard: int, how: dict[str, bool]) -> dict[str, Any] | None:
    """What an interrupted verification of the same kind found in a shard with the same rows."""
    path = verified_file(ledger.out, shard)
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        same = found["rows"] == sha256_of(rows_file(ledger.out, shard).read_bytes())
        return found if same and all(found[name] == how[name] for name in how) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _result(
    ledger: Ledger, records: Iterable[dict[str, Any]], how: dict[str, bool], *, finished: bool
) -> Verification:
    found = [Finding(**one) for record in records for one in record["findings"]]
    without = len(ledger.shards) - len(ledger.done())
    return Verification(
        str(ledger.out), now(), ledger.images_done(), findings=found, **how,
        interrupted=not finished, unfinished_shards=without,
    )  # fmt: skip
