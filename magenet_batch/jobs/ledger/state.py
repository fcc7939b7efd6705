"""State of a job between runs: the frozen plan and `run.json`."""

from __future__ import annotations

import os
import platform
import socket
from dataclasses import dataclass
from typing import Any

from magenet_batch import __version__
from magenet_batch.errors import JobError, UsageError
from magenet_batch.jobs.plan.plan import Plan
from magenet_batch.jobs.plan.relist import differences, refuse_other_job
from magenet_batch.records.layout import PLAN, log_name, state_files, state_name
from magenet_batch.records.part import Part
from magenet_batch.records.run_info import now, read_record
from magenet_batch.storage import Location, names_in, write_json

_BEFORE_RUN_JSON = {PLAN, log_name(None)}


@dataclass
class JobState:
    """State of a job.

    Attributes:
        out: the output folder.
        plan: the frozen plan.
        record: the content of `run.json`.
        part: the part of the job that this process runs; its file is `run-1-of-8.json`.
    """

    out: Location
    plan: Plan
    record: dict[str, Any]
    part: Part | None = None

    @property
    def unclean(self) -> bool:
        """Whether the last run was killed before it could record how it ended."""
        runs = self.record["runs"]
        return bool(runs) and "finished" not in runs[-1]

    def begin(self, *, command: list[str], means: str) -> None:
        """Record the start of a run."""
        self.record["runs"].append(
            {
                "started": now(),
                "command": command,
                "folder": _working_directory(),
                "version": __version__,
                "python": platform.python_version(),
                "host": socket.gethostname(),
                "means": means,
            }
        )
        self._save()

    def end(self, **values: Any) -> None:
        """Record how the run ended."""
        self.record["runs"][-1].update(finished=now(), **values)
        self._save()

    def _save(self) -> None:
        write_json(self.record, self.out / state_name(self.part))


def refuse_foreign(out: Location) -> None:
    """Refuse an output folder that contains other things.

    Raises:
        UsageError: it is a file, or contains something that no job wrote.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file. Give a folder with -o.")
    if not out.is_dir() or bool(state_files(out)):
        return
    others = sorted(name for name in names_in(out) if name not in _BEFORE_RUN_JSON)
    others = [name for name in others if not name.startswith(".")]
    if others:
        raise UsageError(
            f"{out} is not empty and contains no magenet job (found {', '.join(others[:3])}). "
            "Give a new or empty folder with -o."
        )


def is_known(out: Location) -> bool:
    """Whether a job, or a part of one, was started in an output folder."""
    return bool(state_files(out))


def open_state(
    out: Location, plan: Plan | None, *, identity: dict[str, Any], part: Part | None = None
) -> JobState:
    """Start a job in an output folder, or resume the one that is there.

    Args:
        out: the output folder, locked.
        plan: the archive as it is listed now; None for a job that `is_known`, whose frozen plan is
            then compared with the archive by `relist.ArchiveCheck` instead.
        identity: options that determine the outputs, from `JobOptions.identity`.
        part: part of the job; other parts must have the same identity.

    Returns:
        The state, with the frozen plan.

    Raises:
        UsageError: the job in this folder has other options, weights or images.
        JobError: `run.json` cannot be read.
    """
    path = out / state_name(part)
    known = path if path.is_file() else next(iter(state_files(out)), None)
    if known is not None:
        plan = _same_job(out, known, plan, identity)
    assert plan is not None, "a new job needs a plan"
    if not path.is_file():
        if known is None:
            plan.save(out / PLAN)
        record = {"magenet": __version__, "created": now(), "identity": identity, "runs": []}
        record["plan"] = {
            "images": len(plan), "shards": plan.shards, "shard_size": plan.shard_size,
            "bytes": plan.bytes,
        }  # fmt: skip
        write_json(record, path)
        for sibling in state_files(out):  # one may have started at the same moment
            _same_job(out, sibling, plan, identity)
        return JobState(out, plan, record, part)
    return JobState(out, plan, read_record(path).content, part)


def _working_directory() -> str:
    """The folder that relative paths in the command start from; empty if it was deleted."""
    try:
        return os.getcwd()  # noqa: PTH109  as the kernel says it
    except FileNotFoundError:
        return ""


def _same_job(out: Location, path: Location, plan: Plan | None, identity: dict[str, Any]) -> Plan:
    """Frozen plan of the job that a state file belongs to, if it is the same job."""
    try:
        before = read_record(path).identity
    except JobError as error:
        raise JobError(f"{error}. Start a new job in another output folder (-o).") from error
    # Other options also change the listing: report only the cause.
    refuse_other_job(out, changes(before, identity))
    frozen = Plan.load(out / PLAN)
    if plan is not None:
        refuse_other_job(out, [f"archive: {line}" for line in differences(frozen, plan)])
    return frozen


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Describe the differences between two identities as "name: old -> new"."""

    def said(value: Any) -> str:
        if isinstance(value, list):
            return ", ".join(map(str, value)) or "none"
        return "not set" if value is None else str(value)

    names = [*new, *(n for n in old if n not in new)]
    return [
        f"{name}: {said(old.get(name))} -> {said(new.get(name))}"
        for name in names
        if old.get(name) != new.get(name)
    ]
