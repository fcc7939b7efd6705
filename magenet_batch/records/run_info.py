"""`run.json`: how a job was run. The only module that reads and writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple

from magenet_batch.errors import JobError
from magenet_batch.records.layout import state_files
from magenet_batch.storage import Location, sha256_of


class RunRecord(NamedTuple):
    """The content of `run.json`, or of one part's file.

    Attributes:
        content: all of the content.
        identity: options that determined the outputs, by name.
        runs: every run, oldest first: command, machine, how it ended.
    """

    content: dict[str, Any]
    identity: dict[str, Any]
    runs: list[dict[str, Any]]


@dataclass(frozen=True)
class RunInfo:
    """How a job was run; everything is optional, since a report must not depend on it.

    Attributes:
        command: the last command line.
        started: start of the first run, ISO 8601.
        finished: end of the last run, ISO 8601.
        seconds: wall time of all runs together.
        runs: number of runs.
        means: workers, threads and GPUs, in words.
        options: options that determined the outputs, by name.
        id: identity of the job, so that decisions about another job are refused.
    """

    command: str | None = None
    started: str | None = None
    finished: str | None = None
    seconds: float | None = None
    runs: int = 0
    means: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    id: str = ""


def now() -> str:
    """Current time in UTC, to the second, in the format of the records."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def read_record(path: Location) -> RunRecord:
    """Read one `run.json`.

    Raises:
        JobError: it is missing or damaged.
    """
    try:
        found = _parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise JobError(f"{path} cannot be read ({error}).") from error
    if not isinstance(found.content.get("identity"), dict):
        raise JobError(f"{path} cannot be read (it holds no identity).")
    if not isinstance(found.content.get("runs"), list):
        raise JobError(f"{path} cannot be read (it holds no runs).")
    return found


def read_run(out: Location) -> RunInfo:
    """Read `run.json`, or the files of all parts of a job as if they were one.

    Args:
        out: output folder of the job.

    Returns:
        Everything that can be read; empty if the file is missing or damaged.
    """
    records = [record for path in state_files(out) if (record := _whatever(path)).content]
    if not records:
        return RunInfo()
    identity = records[0].identity
    runs = by_start(records)
    if not runs:
        return RunInfo(options=identity, id=_job_id(records))
    last = runs[-1]
    command = last.get("command")
    seconds = [r["seconds"] for r in runs if isinstance(r.get("seconds"), (int, float))]
    return RunInfo(
        command=" ".join(map(str, command)) if isinstance(command, list) else _text(command),
        started=_text(runs[0].get("started")),
        finished=_text(last.get("finished")),
        seconds=float(sum(seconds)) if seconds else None,
        runs=len(runs),
        means=_text(last.get("means")),
        options=identity,
        id=_job_id(records),
    )


def _job_id(records: list[RunRecord]) -> str:
    """Twelve hexadecimal digits that tell one job from another, also on the same archive."""
    begun = min(str(record.content.get("created", "")) for record in records)
    text = json.dumps([begun, records[0].identity], sort_keys=True, default=str)
    return sha256_of(text.encode())[:12]


def has_sidecars(identity: dict[str, Any]) -> bool:
    """Whether a job writes rows beside its images, from the options that it was started with."""
    return identity.get("sidecar") == "json"


def by_start(records: list[RunRecord]) -> list[dict[str, Any]]:
    """The runs of a job and its parts, in the order of their start."""
    runs = [run for record in records for run in record.runs]
    return sorted(runs, key=lambda run: _text(run.get("started")) or "")


def _parsed(text: str) -> RunRecord:
    """Parse a record; entries that cannot be read are left out."""
    content = _mapping(json.loads(text))
    runs = content.get("runs")
    listed = [run for run in runs if isinstance(run, dict)] if isinstance(runs, list) else []
    return RunRecord(content, _mapping(content.get("identity")), listed)


def _whatever(path: Location) -> RunRecord:
    try:
        return _parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return RunRecord({}, {}, [])


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
