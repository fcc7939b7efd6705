"""Small files of the output folder, each written whole or not at all."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from magenet_batch.errors import ImageError, JobError
from magenet_batch.imaging.write import write_atomic
from magenet_batch.storage import Location, StorePath


def write_parquet(table: pa.Table, path: Location) -> None:
    """Write a table as one Parquet file: temporary name, fsync, rename."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    _put(path, sink.getvalue().to_pybytes())


def write_json(value: Any, path: Location) -> None:
    """Write JSON that a person can read: temporary name, fsync, rename."""
    _put(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def _put(path: Location, data: bytes) -> None:
    """Write the job's own file; without it the job cannot go on.

    Raises:
        JobError: the disk is full, read-only or gone.
    """
    try:
        write_atomic(path, data)
    except ImageError as error:
        why = error.__cause__.strerror if isinstance(error.__cause__, OSError) else error
        raise JobError(
            f"{path.parent} takes no more files: {why}. "
            "Make room, then give the same command again: it goes on where it stopped."
        ) from error


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class Log:
    """Appends what happens to `log.jsonl`, one object a line.

    Images are named by shard and position, never by path: a path may hold a patient's name.
    An object cannot be appended to: it is put anew, which is cheap, for events are few.
    """

    def __init__(self, path: Location) -> None:
        self._path = path
        self._stored: str | None = None

    def write(self, event: str, **values: Any) -> None:
        """Append one event with its time."""
        line = json.dumps({"time": now(), "event": event, **values}) + "\n"
        if isinstance(self._path, StorePath):
            if self._stored is None:
                self._stored = self._path.read_text() if self._path.exists() else ""
            self._stored += line
            self._path.write_text(self._stored)
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)
