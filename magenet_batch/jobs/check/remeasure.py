"""Measures the rows of a job again, from its originals and outputs, without enhancing anything.

The rows of a shard are replaced in one step. An interrupted call leaves a record with an id, and
that id in the rows files that it has replaced; the next call resumes from them.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from magenet_batch import __version__
from magenet_batch.errors import ImageError, UsageError
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.imaging.read import read_image
from magenet_batch.jobs import run
from magenet_batch.jobs.check.look import ledger_of, look_at
from magenet_batch.jobs.check.result import Remeasured
from magenet_batch.jobs.engine.progress import Progress
from magenet_batch.jobs.ledger.ledger import Ledger, sweep_records
from magenet_batch.jobs.ledger.lock import job_lock
from magenet_batch.jobs.ledger.log import Log
from magenet_batch.jobs.plan.plan import Task
from magenet_batch.jobs.policy import flags_for
from magenet_batch.jobs.recorded import recorded_options, recorded_weights
from magenet_batch.jobs.work.measuring import VesselDetector, measure_change
from magenet_batch.jobs.work.process import ImageProcessor
from magenet_batch.records.layout import PENDING, REMEASURE, log_name, rows_file, state_files
from magenet_batch.records.run_info import read_record
from magenet_batch.records.schema import FIDELITY_MEASURES, QUALITY_MEASURES, Row
from magenet_batch.records.vocabulary import GRADES
from magenet_batch.settings import MAX_PIXELS
from magenet_batch.storage import Location, readable, remove_file, write_json

if TYPE_CHECKING:
    from magenet_batch.inference.restoring import Estimates

_MARK = b"magenet.remeasured"
_GRADES = ("grade_before", "grade_after")
_BEFORE = (
    "fov_x", "fov_y", "fov_radius", "fov_coverage", "fov_offset", "vessels_seen", "burned_in_text",
    *(f"{name}_before" for name in ("grade", *GRADES, *QUALITY_MEASURES)),
)  # fmt: skip
_AFTER = (
    *(f"{name}_after" for name in ("grade", *GRADES, *QUALITY_MEASURES)), *FIDELITY_MEASURES,
)  # fmt: skip


@dataclass(frozen=True)
class _Delivered:
    """An enhanced image as it was delivered, in the form of an enhancer's result."""

    pixels: np.ndarray
    vessels_before: np.ndarray | None
    vessels_after: np.ndarray | None
    estimates: Estimates | None


def remeasure(
    out: Location,
    *,
    threads: int,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda text: None,
    stop: threading.Event | None = None,
) -> Remeasured:
    """Measure the rows of a job again, or resume an interrupted call.

    Measures of the original are made as the job made them, those of the enhanced image from its
    file. Status, delivery, decisions and the network's estimates stay; flags follow the measures.

    Args:
        out: output folder of the job.
        threads: number of images that are measured at a time.
        progress: shows the progress; None shows nothing.
        say: prints messages.
        stop: set it from another thread to stop.

    Raises:
        UsageError: there is no job, or a review was interrupted.
        WeightsError: the job's weights, which detect vessels, are missing.
        JobError: a job is running in the folder, or rows cannot be read.
        StorageError: the folder cannot be written to, or a server refuses everything.
    """
    ledger = ledger_of(out)
    with job_lock(out) as lease:
        ledger.lease = lease
        sweep_records(out)
        if (out / PENDING).is_file():
            raise UsageError(f"Applying decisions was interrupted: run `magenet review {out}`.")
        mark = _mark(out)
        shards = sorted(ledger.done())
        left = [shard for shard in shards if _mark_of(ledger, shard) != mark]
        total, to_do = (sum(map(ledger.plan.shard_rows, some)) for some in (shards, left))
        say(f"{total} rows, {total - to_do} already measured again, {to_do} to do")
        measure = _Measuring(out, say)
        result = Remeasured(str(out), images=total - to_do)

        def keep(shard: int, found: list[Row | str]) -> None:
            changes = {p: row for p, row in enumerate(found) if isinstance(row, dict)}
            _count(ledger.read(shard, columns=["flags", *_GRADES]).to_pylist(), changes, result)
            result.failed.extend(line for line in found if isinstance(line, str))
            ledger.change(shard, changes, note={_MARK: mark})

        result.interrupted = not look_at(
            ledger, left, columns=None, each=measure, keep=keep, threads=threads,
            progress=progress, stop=stop,
        )  # fmt: skip
        if not result.interrupted:
            Log(out / log_name(None)).write("remeasure", images=result.images, version=__version__)
            remove_file(out / REMEASURE, root=out)
    return result


class _Measuring:
    """Measures one image again; the network is loaded when the first one needs it."""

    def __init__(self, out: Location, say: Callable[[str], None]) -> None:
        self._out, self._say = out, say
        self._record = read_record(state_files(out)[0])
        options = recorded_options(self._record.identity)
        if self._record.identity.get("task") == "assess":
            options = replace(options, assess=True)
        self._processor = ImageProcessor(None, out=out, image_options=options)
        self._lock = threading.Lock()
        self._network: VesselDetector | None = None

    def __call__(self, task: Task, row: Row) -> Row | str:
        """What changes in a row, or why it cannot be measured."""
        if row["status"] == "failed" or row["removed"] is not None:
            return {}
        try:
            return self._measure(task, row)
        except ImageError as error:
            return f"{row['image_id']}: {error}"

    def _measure(self, task: Task, row: Row) -> Row:
        work = self._processor.load(task)
        if work.failed:
            raise ImageError(work.row["reason"], work.row["message"])
        if work.row["sha256"] != row["sha256"]:
            raise ImageError("unreadable", "the original is another file than the one in its row")
        recognised = list(work.row["flags"])
        new: Row = {name: work.row.get(name) for name in _BEFORE}
        if row["status"] == "enhanced":
            assert work.image is not None
            if work.fov is None:
                raise ImageError("no_fov", "no field of view was found")
            made = self._delivered(row, work.image.pixels, work.fov)
            change = measure_change(
                work.image.pixels, made, work.fov, before=work.row, detector=self._loaded()
            )
            new |= {name: change.get(name) for name in _AFTER}
        new["flags"] = recognised + flags_for(row | new)
        return new | {"version": __version__}

    def _delivered(self, row: Row, original: np.ndarray, fov: FieldOfView) -> _Delivered:
        """The enhanced image from its file, as the network would have returned it."""
        try:
            content = (self._out / row["output"]).read_bytes()
        except OSError as error:
            raise ImageError("unreadable", "its output is missing") from error
        pixels = read_image(content, max_pixels=MAX_PIXELS).pixels
        if pixels.shape != original.shape:
            raise ImageError("corrupt", "its output has another size than its original")
        if pixels.dtype != original.dtype:  # written with 8 bits, read with 16
            pixels = pixels.astype(original.dtype) * 257
        network = self._loaded()
        return _Delivered(
            pixels, network.vessels(original, fov), network.vessels(pixels, fov), _estimates(row)
        )

    def _loaded(self) -> VesselDetector:
        with self._lock:
            if self._network is None:
                identity, runs = self._record.identity, self._record.runs
                self._say("Loading the network, which detects vessels.")
                loaded: Any = run.load_enhancer(
                    "cpu", 1, weights=recorded_weights(identity, runs),
                    expected=identity.get("weights_hash"),
                )  # fmt: skip
                self._network = loaded
            return self._network


def _estimates(row: Row) -> Estimates | None:
    """What a row says was wrong with the original."""
    from magenet_batch.inference.restoring import Estimates

    values = {f.name: row[f"estimated_{f.name}"] for f in fields(Estimates)}
    return None if None in values.values() else Estimates(**values)


def _count(rows: list[Row], changes: dict[int, Row], result: Remeasured) -> None:
    result.images += len(rows)
    for position, new in changes.items():
        old = rows[position]
        result.flags_changed += new.get("flags", old["flags"]) != old["flags"]
        result.grades_changed += any(new.get(g, old[g]) != old[g] for g in _GRADES)


def _mark(out: Location) -> bytes:
    """Id of this call, or of the interrupted one that it resumes."""
    path = out / REMEASURE
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["id"]).encode()
    except (OSError, ValueError, KeyError, TypeError):
        mark = uuid.uuid4().hex
        write_json({"id": mark, "version": __version__}, path)
        return mark.encode()


def _mark_of(ledger: Ledger, shard: int) -> bytes | None:
    schema = pq.read_schema(readable(rows_file(ledger.out, shard)))
    mark: bytes | None = (schema.metadata or {}).get(_MARK)
    return mark
