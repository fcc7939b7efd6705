"""The ledger: which images of a job are done, according to the rows files alone."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from magenet_batch.errors import JobError
from magenet_batch.jobs.ledger.lease import Lease
from magenet_batch.jobs.ledger.replaced import remove_replaced
from magenet_batch.jobs.plan.plan import Plan, Task, extra_of, planned_columns, tasks_of
from magenet_batch.records.columns import plain_rows, same_values
from magenet_batch.records.layout import (
    GENERATIONS,
    ROWS,
    TEMPORARY_GLOB,
    VERIFIED,
    finished_shards,
    rows_file,
    sidecar_name,
)
from magenet_batch.records.outcome import Outcome
from magenet_batch.records.part import Part
from magenet_batch.records.reading import in_order
from magenet_batch.records.rows import fail, rows_table, start_row
from magenet_batch.records.schema import NEW_COLUMNS, Row
from magenet_batch.records.sidecar import flush_files, replace_rows, write_first_rows
from magenet_batch.storage import (
    ConditionsUnsupportedError,
    Location,
    Sizes,
    StorePath,
    Version,
    names_like,
    readable,
    remove_file,
)

_CRASHED = "the worker crashed repeatedly on this image, even when nothing else was running"
_TIMED_OUT = "processing this image repeatedly took too long, even when nothing else was running"
_COUNTED = ["status", "reason", "flags", "width", "height", "decision", "grade_before",
            "grade_after", "decoder_note", "burned_in_text"]  # fmt: skip


@dataclass
class Counts:
    """Numbers of images by outcome.

    Attributes:
        outcome: images by status and reason, grades, flags and decisions.
        pixels: total pixels of all images whose size is known.
    """

    outcome: Outcome = field(default_factory=Outcome)
    pixels: int = 0

    @property
    def flagged(self) -> int:
        """Images with at least one flag."""
        return self.outcome.flagged

    @property
    def by_status(self) -> Counter[str]:
        """Number of images by status."""
        return self.outcome.by_status

    @property
    def images(self) -> int:
        """Number of images with a row."""
        return self.outcome.done

    @property
    def failed(self) -> int:
        """Number of images that failed."""
        return self.by_status["failed"]

    def add(self, rows: pa.Table) -> None:
        """Count the rows of a table."""
        names = ("status", "reason", "decision", "grade_before", "grade_after")
        columns = [rows.column(name).to_pylist() for name in names]
        for name in ("flags", "decoder_note", "burned_in_text"):
            columns.append([bool(value) for value in rows.column(name).to_pylist()])
        for alike, count in Counter(zip(*columns, strict=True)).items():
            status, reason, decision, before, after, flagged, noted, lettered = alike
            self.outcome.add(
                status, reason, count, flagged=flagged, noted=noted, lettered=lettered,
                decision=decision, grades=(before, after),
            )  # fmt: skip
        area = pc.multiply(rows.column("width").cast("int64"), rows.column("height").cast("int64"))
        self.pixels += int(pc.sum(area).as_py() or 0)


class Ledger:
    """Reads and writes the rows of a job.

    Args:
        out: the output folder.
        plan: the frozen plan.
        weights: name of the weights, for rows that the driver writes itself.
        weights_hash: hash of the weights.
        part: restricts the ledger to the shards of a part; None for all shards.
        sidecars: whether rows are also written beside the images.
        lease: of the job's lock, which changes of rows need; None to only read.
    """

    def __init__(
        self,
        out: Location,
        plan: Plan,
        *,
        weights: str | None = None,
        weights_hash: str | None = None,
        part: Part | None = None,
        sidecars: bool = False,
        lease: Lease | None = None,
    ) -> None:
        self.out = out
        self.lease = lease
        self.sidecars = sidecars
        self._sizes = Sizes(out)
        self.plan = plan
        self.shards = [s for s in range(plan.shards) if part is None or part.has(s)]
        self._weights = weights
        self._weights_hash = weights_hash

    def done(self) -> set[int]:
        """The shards whose rows file is in place."""
        return finished_shards(self.out) & set(self.shards)

    @property
    def images(self) -> int:
        """Number of planned images."""
        return sum(self.plan.shard_rows(shard) for shard in self.shards)

    def images_done(self) -> int:
        """Number of images in finished shards, without those whose source has changed since.

        The names of the rows files tell it, unless a later generation of the plan changed images.
        """
        return sum(self.plan.shard_rows(shard) for shard in self.done()) - self.outdated_images()

    def outdated(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield finished shards with rows of another version than the plan's, and their positions.

        Such a row tells of an earlier version of the source, of other columns of a manifest, or of
        a source that was removed or is back since.
        """
        for shard in sorted(self.done() & self.plan.amended_positions.keys()):
            positions = self.plan.amended_positions[shard]
            planned = planned_columns(self.plan.slice(shard, positions))
            rows = self.read(shard, columns=planned.column_names).take(pa.array(positions))
            same = np.ones(len(positions), bool)
            for name in planned.column_names:
                kind = rows.schema.field(name).type
                equal = same_values(rows.column(name), planned.column(name).cast(kind))
                if name == "source_version":  # of a removed source, any version is the last
                    equal |= planned.column("removed").is_valid().to_numpy()
                same &= equal
            if not same.all():
                yield shard, tuple(p for p, well in zip(positions, same, strict=True) if not well)

    def outdated_images(self) -> int:
        """Number of images whose rows are of another version than the plan's."""
        return sum(len(positions) for _, positions in self.outdated())

    def read(self, shard: int, *, columns: list[str] | None = None) -> pa.Table:
        """The rows of a finished shard; columns that an older version did not write are null."""
        return self._parsed(shard, readable(rows_file(self.out, shard)), columns=columns)

    def _parsed(
        self, shard: int, file: Path | pa.BufferReader, *, columns: list[str] | None = None
    ) -> pa.Table:
        path = rows_file(self.out, shard)
        try:
            with pq.ParquetFile(file) as opened:  # takes a fifth of the time of `read_table`
                table = opened.read(columns=columns, use_threads=False)
            if set(columns or ()) - set(table.column_names) - set(NEW_COLUMNS):
                raise pa.ArrowInvalid("columns are missing")
            return in_order(table, names=columns)
        except (pa.ArrowInvalid, OSError) as error:
            raise JobError(
                f"{path} cannot be read ({error}). "
                "Delete this file and re-run the same command: its images will be processed again."
            ) from error

    def _to_change(self, shard: int) -> tuple[pa.Table, Version | None]:
        """The rows of a finished shard, and what tells whether they have changed since."""
        path = rows_file(self.out, shard)
        if isinstance(path, StorePath):
            with contextlib.suppress(ConditionsUnsupportedError):
                found = path.read_version()
                return self._parsed(shard, pa.BufferReader(found.data)), found.version
        return self.read(shard), None

    def to_retry(self, shard: int) -> tuple[int, ...]:
        """Positions in a finished shard that failed, or whose output has disappeared since.

        Images whose source is missing from a growing archive cannot be retried.
        """
        rows = self.read(shard, columns=["status", "output"])
        count = self.plan.shard_rows(shard)
        gone = self.plan.slice(shard, range(count)).column("removed").is_valid().to_pylist()
        return tuple(
            position
            for position, (status, output) in enumerate(_pairs(rows, "status", "output"))
            if not gone[position] and (status == "failed" or not self._is_well(status, output))
        )

    def failed_row(self, shard: int, position: int, *, timed_out: bool) -> pa.Table:
        """Row of an image whose worker died repeatedly."""
        part = self.plan.slice(shard, [position])
        task: Task = tasks_of(part)[0]
        row = start_row(
            task.image_id, task.source, source_version=task.version, removed=task.removed,
            weights=self._weights, weights_hash=self._weights_hash,
        )  # fmt: skip
        if timed_out:
            fail(row, "timeout", _TIMED_OUT)
        else:
            fail(row, "crash", _CRASHED)
        return rows_table([row], extra_of(part))

    def commit(self, shard: int, rows: Mapping[int, pa.Table]) -> None:
        """Write the first rows of a shard from pieces; rows that are there already stay.

        Args:
            shard: number of the shard.
            rows: a table of one row for each position of the shard.
        """
        self.require_lease()
        pieces = pa.concat_tables([rows[p] for p in range(self.plan.shard_rows(shard))])
        sidecars = range(len(pieces)) if self.sidecars else ()
        write_first_rows(pieces, self.out, shard, sidecars=sidecars)

    def merge(self, shard: int, rows: Mapping[int, pa.Table]) -> None:
        """Replace some rows of a finished shard.

        Files of replaced rows that no new row names are removed before: until the new rows are in
        place, the images are processed again anyway.

        Args:
            shard: number of the shard.
            rows: a table of one row for each position that is replaced.
        """
        kept, version = self._to_change(shard)
        self.require_lease()
        outputs = self.plan.slice(shard, list(rows)).column("output").to_pylist()
        for (position, new), output in zip(rows.items(), outputs, strict=True):
            before, after = (plain_rows(t)[0] for t in (kept.slice(position, 1), new))
            remove_replaced(self.out, before, after, enhanced=output)
        flush_files(pa.concat_tables(rows.values()), self.out)
        pieces = [rows[p] if p in rows else kept.slice(p, 1) for p in range(len(kept))]
        self._write(pa.concat_tables(pieces), shard, rows, over=version)

    def require_lease(self) -> None:
        """Check that no other job may change the rows now.

        Raises:
            JobError: the lock of this job was lost.
        """
        if self.lease is not None:
            self.lease.require()

    def refuse_lost_lease(self) -> None:
        """Raise if the lock was lost; unlike `require_lease`, wait for nothing.

        Raises:
            JobError: the lock of this job was lost.
        """
        if self.lease is not None and self.lease.lost:
            self.lease.require()

    def change(
        self, shard: int, changes: Mapping[int, Row], *, note: Mapping[bytes, bytes] | None = None
    ) -> None:
        """Change some columns of some rows of a finished shard; the others stay as they are.

        Args:
            shard: its number.
            changes: position -> column -> value.
            note: entries to add to the file's metadata.
        """
        table, version = self._to_change(shard)
        for name in sorted({name for row in changes.values() for name in row}):
            place = table.column_names.index(name)
            values = table.column(place).to_pylist()
            for position, row in changes.items():
                values[position] = row.get(name, values[position])
            kind = table.schema.field(place)
            table = table.set_column(place, kind, pa.array(values, kind.type))
        if note is not None:
            table = table.replace_schema_metadata({**(table.schema.metadata or {}), **note})
        self._write(table, shard, changes, over=version)

    def follow_plan(self, shard: int, positions: Sequence[int]) -> None:
        """Take over what the plan says of some images of a finished shard into their rows.

        Args:
            shard: its number.
            positions: the images; the version of a source that was removed stays.
        """
        table, version = self._to_change(shard)
        planned = planned_columns(self.plan.slice(shard, positions))
        there = planned.column("removed").is_null().to_numpy()
        for name in planned.column_names:
            taken = there if name == "source_version" else np.ones(len(there), bool)
            index = np.arange(len(table))
            index[np.array(positions)[taken]] = len(table) + np.flatnonzero(taken)
            place = table.column_names.index(name)
            kind = table.schema.field(place)
            both = [*table.column(place).chunks, *planned.column(name).cast(kind.type).chunks]
            column = pa.chunked_array(both, kind.type).take(pa.array(index))
            table = table.set_column(place, kind, column)
        self._write(table, shard, positions, over=version)

    def restore_sidecars(self, shard: int) -> None:
        """Write the missing sidecars of a finished shard."""
        ids = self.read(shard, columns=["image_id"]).column("image_id").to_pylist()
        missing = [p for p, key in enumerate(ids) if not self._sizes.of(sidecar_name(key))]
        if missing:
            table, version = self._to_change(shard)
            self._write(table, shard, missing, over=version)

    def _write(
        self, table: pa.Table, shard: int, changed: Iterable[int], *, over: Version | None
    ) -> None:
        self.require_lease()
        sidecars = changed if self.sidecars else ()
        if not replace_rows(table, self.out, shard, over=over, sidecars=sidecars):
            raise JobError(
                f"{rows_file(self.out, shard)} was changed by another job. "
                "Finished images are kept; re-run the same command to resume."
            )

    def tables(self, columns: list[str]) -> Iterator[tuple[int, pa.Table]]:
        """Yield some columns of every finished shard, one shard in memory at a time."""
        for shard in sorted(self.done()):
            yield shard, self.read(shard, columns=columns)

    def counts(self) -> Counts:
        """Count the images that are done so far."""
        counts = Counts()
        for _, rows in self.tables(_COUNTED):
            counts.add(rows)
        return counts

    def audit(self) -> tuple[Counts, list[str]]:
        """Check that every planned image has a row and every named output exists; count them.

        Returns:
            The counts, and a message for each problem; no messages if all is well.
        """
        counts = Counts()
        wrong: list[str] = []
        self._sizes = Sizes(self.out)
        missing = len(self.shards) - len(self.done())
        if missing:
            wrong.append(f"{missing} of {len(self.shards)} shards have no rows")
        if outdated := self.outdated_images():
            wrong.append(f"{outdated} rows are of an earlier version of their image")
        for shard, rows in self.tables([*_COUNTED, "image_id", "output"]):
            counts.add(rows)
            start, count = self.plan.shard_start(shard), self.plan.shard_rows(shard)
            planned = self.plan.table.column("image_id").slice(start, count)
            if not rows.column("image_id").equals(planned):
                wrong.append(
                    f"{rows_file(self.out, shard).name} does not contain the planned images"
                )
            wrong.extend(
                f"{output}: its row says {status}, but the file is missing"
                for status, output in _pairs(rows, "status", "output")
                if status != "failed" and not self._is_well(status, output)
            )
            wrong.extend(
                f"{name}: the file is missing"
                for name in map(sidecar_name, rows.column("image_id").to_pylist())
                if self.sidecars and not self._sizes.of(name)
            )
        return counts, wrong

    def _is_well(self, status: str, output: str | None) -> bool:
        """Whether an output exists as it should; kept originals may be omitted."""
        if output is None:
            return status in ("kept", "withheld", "assessed")
        return self._sizes.of(output) > 0


def _pairs(rows: pa.Table, first: str, second: str) -> Iterator[tuple[Any, Any]]:
    return zip(rows.column(first).to_pylist(), rows.column(second).to_pylist(), strict=True)


def sweep_records(out: Location) -> None:
    """Remove half-written files that killed writers left among the records of a job.

    Args:
        out: the output folder, locked: nothing is being written there. In a store, nothing is left.
    """
    if not isinstance(out, StorePath):
        sweep([out, *(out / name for name in (ROWS, GENERATIONS, VERIFIED))])


def sweep(folders: Iterable[Path]) -> int:
    """Remove files with a temporary name, which killed writers left behind.

    Args:
        folders: folders to search, without their subfolders.

    Returns:
        Number of removed files.
    """
    removed = 0
    for folder in folders:
        for name in names_like(folder, TEMPORARY_GLOB):
            remove_file(folder / name)
            removed += 1
    return removed
