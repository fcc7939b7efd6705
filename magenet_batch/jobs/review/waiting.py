"""What waits for a reviewer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from magenet_batch.errors import printable
from magenet_batch.records.outcome import because
from magenet_batch.records.reading import open_rows
from magenet_batch.records.run_info import read_run
from magenet_batch.records.vocabulary import DECISIONS, waits_for_review
from magenet_batch.storage import Location

SHOWN = 20
_COLUMNS = ("image_id", "status", "reason", "flags", "decision")


@dataclass
class Waiting:
    """Images that wait for a reviewer.

    Attributes:
        out: the output folder.
        job: id of the job.
        images: `(image_id, status, why)`.
        decided: how many images were decided about.
    """

    out: str
    job: str
    images: list[tuple[str, str, str]] = field(default_factory=list)
    decided: int = 0

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        listed = [{"image_id": i, "status": s, "why": w} for i, s, w in self.images]
        return {"out": self.out, "job": self.job, "to_review": listed, "reviewed": self.decided}

    def text(self) -> str:
        """For people."""
        lines = [f"{len(self.images):,} to review, {self.decided:,} reviewed."]
        shown = [(printable(i), s, w) for i, s, w in self.images[:SHOWN]]
        width = min(60, max((len(i) for i, _, _ in shown), default=0))
        verbs = {"enhanced": "delivered, flagged", "withheld": "withheld"}
        lines += [f"  {i:<{width}}  {verbs.get(s, s)}: {w}" for i, s, w in shown]
        if len(self.images) > SHOWN:
            lines.append(f"  and {len(self.images) - SHOWN:,} more")
        if self.images:
            lines += [
                f"Next: magenet report {self.out} --open, decide in the page and export the file,",
                f"      then: magenet review {self.out} --apply decisions.csv",
            ]
        return "\n".join(lines)


def read_waiting(out: Location) -> Waiting:
    """Read what waits for a reviewer.

    Args:
        out: the output folder of a job.

    Raises:
        UsageError: it holds no rows.
    """
    rows = open_rows(out)
    found = Waiting(str(out), read_run(out).id)
    there = set(rows.schema.names)
    for table in rows.tables([name for name in _COLUMNS if name in there]):
        for row in table.to_pylist():
            decision, flags = row.get("decision"), row["flags"] or []
            found.decided += decision in DECISIONS
            if waits_for_review(
                row["status"], row["reason"], flagged=bool(flags), decision=decision
            ):
                why = because(row["reason"]) if row["status"] == "withheld" else ", ".join(
                    flag.replace("_", " ") for flag in flags
                )  # fmt: skip
                found.images.append((row["image_id"], row["status"], why))
    return found
