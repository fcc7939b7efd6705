"""Event log of a job."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from magenet_batch.records.run_info import now
from magenet_batch.storage import Location, StorePath, refused

NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""Flag to open no link: in a folder that others can write to, it could lead to any file."""


class Log:
    """Appends events to `log.jsonl`, one JSON object per line.

    Images are named by shard and position, never by path, because a path can contain a patient's
    name. An object in a store cannot be appended to; it is rewritten, which is cheap because events
    are few.
    """

    def __init__(self, path: Location) -> None:
        self._path = path
        self._stored: str | None = None

    def write(self, event: str, **values: Any) -> None:
        """Append one event with its time.

        Raises:
            StorageError: it cannot be written.
        """
        line = json.dumps({"time": now(), "event": event, **values}) + "\n"
        if isinstance(self._path, StorePath):
            if self._stored is None:
                self._stored = self._path.read_text() if self._path.exists() else ""
            self._stored += line
            self._path.write_text(self._stored)
            return
        try:
            with open(self._path, "ab", opener=_open_no_link) as file:
                file.write(_line_end(self._path) + line.encode())
        except OSError as error:
            raise refused(error, self._path) from error


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | NO_LINK, 0o666)


def _line_end(path: Path) -> bytes:
    """What ends a line that a full disk or a crash has cut off."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return b""
        file.seek(-1, os.SEEK_END)
        return b"" if file.read() == b"\n" else b"\n"
