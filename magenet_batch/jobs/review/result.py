"""What became of decisions, for people and scripts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from magenet_batch.errors import EXIT_DONE, EXIT_SOME_FAILED
from magenet_batch.records.outcome import Outcome


@dataclass
class ReviewResult:
    """What became of decisions.

    Attributes:
        out: the output folder.
        done: `delivered`, `withheld`, `confirmed`, `undone` or `unchanged` -> images.
        failed: decisions that could not be obeyed, each as one line.
        outcome: what became of the archive, with these decisions.
        dry: whether nothing was done.
    """

    out: str
    done: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    outcome: Outcome = field(default_factory=Outcome)
    dry: bool = False

    @property
    def exit_code(self) -> int:
        """What the command line ends with."""
        return EXIT_SOME_FAILED if self.failed else EXIT_DONE

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        words = ("delivered", "withheld", "confirmed", "undone", "unchanged")
        return {
            "out": self.out, "dry_run": self.dry,
            "applied": {word: self.done[word] for word in words}, "not_applied": self.failed,
            **self.outcome.as_json(),
        }  # fmt: skip

    def text(self) -> str:
        """For people."""
        words = {
            "delivered": "delivered enhanced", "withheld": "withheld",
            "confirmed": "confirmed", "undone": "taken back", "unchanged": "decided before",
        }  # fmt: skip
        parts = [f"{self.done[key]:,} {word}" for key, word in words.items() if self.done[key]]
        verb = "would be decided" if self.dry else "decided"
        total = self.done.total()
        lines = [f"{total:,} {verb}: {', '.join(parts)}." if parts else "Nothing to decide."]
        if self.failed:
            lines.append(f"{len(self.failed):,} could not be obeyed, and are as they were:")
            lines += [f"  {line}" for line in self.failed[:10]]
            if len(self.failed) > 10:
                lines.append(f"  and {len(self.failed) - 10:,} more")
        return "\n".join([*lines, *(self.outcome.lines() if not self.dry else ())])
