"""What `magenet send` did, for people and scripts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from magenet_batch.errors import EXIT_DONE, EXIT_SOME_FAILED

_SHOWN = 10


@dataclass
class SendResult:
    """What became of the delivered DICOM images of a job.

    Attributes:
        out: the output folder.
        server: address of the server.
        images: number of delivered DICOM images.
        before: of these, sent by an earlier call.
        there: of these, found on the server.
        stored: of these, stored now.
        failed: one line for each image that was not stored.
        dry: whether nothing was sent.
    """

    out: str
    server: str
    images: int = 0
    before: int = 0
    there: int = 0
    stored: int = 0
    failed: list[str] = field(default_factory=list)
    dry: bool = False

    @property
    def exit_code(self) -> int:
        """Exit code of the command line."""
        return EXIT_SOME_FAILED if self.failed else EXIT_DONE

    def as_json(self) -> dict[str, Any]:
        """The result for scripts."""
        return {
            "out": self.out, "server": self.server, "dry_run": self.dry, "images": self.images,
            "sent_before": self.before, "already_there": self.there, "stored": self.stored,
            "failed": self.failed,
        }  # fmt: skip

    def plan(self) -> str:
        """What will be done, said before it is."""
        return (
            f"{self.images:,} delivered DICOM images, {self.before:,} sent before, "
            f"{self.images - self.before:,} to send to {self.server}"
        )

    def text(self) -> str:
        """The result for people."""
        if self.dry:
            return f"{self.plan()}\nNothing was sent (--dry-run)."
        if self.before == self.images:
            return f"Nothing to send: all {self.images:,} images were sent before."
        lines = [f"{self.stored:,} stored, {self.there:,} were on the server already."]
        if self.failed:
            lines.append(f"{len(self.failed):,} could not be stored:")
            lines += [f"  {line}" for line in self.failed[:_SHOWN]]
            if len(self.failed) > _SHOWN:
                lines.append(f"  and {len(self.failed) - _SHOWN:,} more")
            lines.append("Re-run the same command to try them again.")
        return "\n".join(lines)
