"""What `run.json` says about how a job was run, for the report."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from magenet_batch.storage import Location, names_in


@dataclass(frozen=True)
class RunInfo:
    """How a job was run; everything is optional, since a report must not depend on it.

    Attributes:
        command: the last command line.
        started: when the first run began, ISO 8601.
        finished: when the last run ended, ISO 8601.
        seconds: wall time of all runs together.
        runs: how many runs it took.
        means: workers, threads and GPUs, in words.
        options: name -> value, what decided the outputs.
    """

    command: str | None = None
    started: str | None = None
    finished: str | None = None
    seconds: float | None = None
    runs: int = 0
    means: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _record(path: Location) -> dict[str, Any]:
    try:
        return _mapping(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def read_run(out: Location) -> RunInfo:
    """Read `run.json`, or the files of all parts of a job as if it were one.

    Args:
        out: the job's output folder.

    Returns:
        What is there and understood; nothing when the file is missing or damaged.
    """
    names = sorted(name for name in names_in(out) if fnmatchcase(name, "run*.json"))
    records = [_record(out / name) for name in names]
    records = [record for record in records if record]
    if not records:
        return RunInfo()
    identity = _mapping(records[0].get("identity"))
    listed = [record["runs"] for record in records if isinstance(record.get("runs"), list)]
    runs = [_mapping(run) for one in listed for run in one]
    if not runs:
        return RunInfo(options=identity)
    runs.sort(key=lambda run: _text(run.get("started")) or "")
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
    )
