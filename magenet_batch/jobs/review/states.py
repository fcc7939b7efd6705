"""An image's row after a decision, given the row that the job and earlier decisions left."""

from __future__ import annotations

import json
from typing import Any

from magenet_batch.errors import ImageError
from magenet_batch.jobs.plan.plan import Task
from magenet_batch.jobs.review.decisions import UNDO, Decision
from magenet_batch.jobs.review.files import Files
from magenet_batch.records.outcome import because
from magenet_batch.records.schema import Row
from magenet_batch.records.vocabulary import WITHHELD_REASONS, can_be_reviewed

STATE = ("status", "reason", "message", "output", "look", "output_sha256")
"""Columns that a decision replaces; `before_review` keeps what the job wrote there."""
COLUMNS = (*STATE, "decision", "reviewer", "reviewed", "before_review")
DIGEST = "set_aside_sha256"


def whole_state(row: Row) -> dict[str, Any]:
    """What the job itself had made of an image, whatever was decided since.

    Raises:
        ImageError: the row does not tell.
    """
    if not row.get("before_review"):
        return {name: row.get(name) for name in STATE}
    try:
        found: dict[str, Any] = json.loads(row["before_review"])
        found.setdefault("output_sha256", None)  # rows of earlier versions
        return {**{name: found[name] for name in STATE}, DIGEST: found.get(DIGEST)}
    except (ValueError, TypeError, KeyError) as error:
        raise ImageError("error", "its row does not tell what was there before") from error


def why_not(row: Row, decision: str) -> str | None:
    """Why a decision cannot be obeyed, as part of a sentence; None where it can."""
    job = whole_state(row)
    if decision == UNDO or can_be_reviewed(job["status"], job["reason"]):
        return None
    reason = because(job["reason"] or "")
    return {
        "kept": f"it is delivered as it came ({reason}): nothing was enhanced",
        "withheld": f"it was never enhanced ({reason}): there is nothing to deliver",
        "failed": f"it failed ({reason}): there is nothing to deliver",
        "assessed": "it was only assessed: nothing was enhanced",
    }.get(job["status"], "nothing was enhanced")


def wanted(row: Row, decision: Decision) -> str | None:
    """What is to be done with the files of an image.

    Returns:
        `deliver`, `withhold` or `keep` (only the row changes); None where nothing changes.
    """
    if row.get("decision") == decision.decision:
        return None
    if decision.decision == UNDO:
        if not row.get("decision"):
            return None
        status = whole_state(row)["status"]
    else:
        status = {"deliver": "enhanced", "withhold": "withheld"}[decision.decision]
    if status == row["status"]:
        return "keep"
    return "deliver" if status == "enhanced" else "withhold"


def obey(row: Row, decision: Decision, task: Task, files: Files, *, look: str) -> Row:
    """Do what was decided with the files, and say what changes in the row.

    Args:
        row: the row as it is.
        decision: which changes something (`wanted`).
        task: the image.
        files: of the job.
        look: of images that are delivered enhanced.

    Returns:
        Column -> new value, to be committed.

    Raises:
        ImageError: it cannot be done; nothing is changed then.
        StorageError: the output folder takes nothing more.
    """
    job = whole_state(row)
    now = {name: row.get(name) for name in STATE}
    what = wanted(row, decision)
    if what == "deliver":
        digest = files.deliver(task, row, digest=job.get(DIGEST))
        now = {"status": "enhanced", "reason": None, "message": None, "output": task.output,
               "look": look, "output_sha256": digest}  # fmt: skip
    elif what == "withhold" and job["status"] == "withheld":
        files.restore_original(task, row, name=job["output"])
        now = {name: job[name] for name in STATE}
    elif what == "withhold":
        kept, job[DIGEST] = files.withhold(task, row)
        now = {"status": "withheld", "reason": "reviewer", "output": kept, "look": None,
               "message": WITHHELD_REASONS["reviewer"],
               "output_sha256": None if kept is None else row.get("sha256")}  # fmt: skip
    if decision.decision == UNDO:
        return {**{name: job[name] for name in STATE}, **dict.fromkeys(COLUMNS[len(STATE) :])}
    return {
        **now, "decision": decision.decision, "reviewer": decision.reviewer,
        "reviewed": decision.when,
        "before_review": json.dumps(job, separators=(",", ":"), ensure_ascii=False),
    }  # fmt: skip


def refused(image_id: str, why: str | ImageError) -> str:
    """A decision that is not obeyed, as a line for people."""
    return f"{image_id}: {why}"
