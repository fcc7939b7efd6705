"""What second looks found, for people and scripts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from magenet_batch.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_SOME_FAILED, printable
from magenet_batch.records.outcome import image_count

_SHOWN = 10
_SET_ASIDE_FIRST = "To recreate damaged files, run `magenet verify --set-aside` first."
WORDS = {
    "output_missing": ("output is missing", "outputs are missing"),
    "output_damaged": ("output is not what was written", "outputs are not what was written"),
    "sidecar_missing": ("sidecar is missing", "sidecars are missing"),
    "sidecar_damaged": (
        "sidecar is not what its row says", "sidecars are not what their rows say",
    ),
    "original_missing": ("original cannot be read", "originals cannot be read"),
    "original_changed": (
        "original is another file than the one that was enhanced",
        "originals are other files than those that were enhanced",
    ),
}  # fmt: skip
"""What can be wrong with an image -> its sentence, for one and for more."""


class Finding(NamedTuple):
    """One thing that is wrong.

    Attributes:
        image_id: of the image.
        what: a key of `WORDS`.
        output: name of the output or sidecar, if that is wrong.
    """

    image_id: str
    what: str
    output: str | None


@dataclass(frozen=True)
class Verification:
    """What a verification found.

    Attributes:
        out: the output folder.
        verified: when, ISO 8601.
        images: number of images that the job has done.
        originals: whether originals were read too.
        set_aside: whether damaged outputs were moved out of the way.
        findings: everything that is wrong.
        interrupted: whether it was stopped before the end.
        unfinished_shards: number of shards that have no rows yet.
    """

    out: str
    verified: str
    images: int
    originals: bool
    set_aside: bool
    findings: list[Finding]
    interrupted: bool = False
    unfinished_shards: int = 0

    @property
    def exit_code(self) -> int:
        """Exit code of the command line."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        return EXIT_SOME_FAILED if self.findings else EXIT_DONE

    def as_json(self) -> dict[str, Any]:
        """The result for scripts."""
        counts = Counter(one.what for one in self.findings)
        return {
            "out": self.out, "verified": self.verified, "images": self.images,
            "originals": self.originals, "interrupted": self.interrupted,
            **{what: counts[what] for what in WORDS},
            "findings": [one._asdict() for one in self.findings],
        }  # fmt: skip

    def text(self) -> str:
        """The result for people."""
        if self.interrupted:
            return "Interrupted. Re-run the same command to resume."
        what = "outputs and originals" if self.originals else "outputs"
        lines = [f"{image_count(self.images)} verified: {what}."]
        if self.unfinished_shards:
            lines.append("The job is not finished: only its finished images were verified.")
        for kind, (of_one, of_many) in WORDS.items():
            found = [one for one in self.findings if one.what == kind]
            if found:
                lines.append(f"{len(found):,} {of_one if len(found) == 1 else of_many}:")
                lines += [f"  {printable(one.image_id)}" for one in found[:_SHOWN]]
                lines += [f"  and {len(found) - _SHOWN:,} more"] if len(found) > _SHOWN else []
        kinds = {one.what for one in self.findings}
        if not kinds:
            lines.append("All are as their rows say.")
        if kinds & {"output_damaged", "sidecar_damaged"}:
            moved = "Damaged files were moved to verified/damaged."
            lines.append(moved if self.set_aside else _SET_ASIDE_FIRST)
        if any(kind.startswith(("output", "sidecar")) for kind in kinds):
            lines.append("To recreate missing files, add --retry-failed to the job's command.")
        if "original_changed" in kinds:
            lines.append("Restore these originals, or enhance them as they are with --append.")
        return "\n".join(lines)


@dataclass
class Remeasured:
    """What became of measuring rows again.

    Attributes:
        out: the output folder.
        images: number of rows that were measured again, in this and interrupted calls.
        flags_changed: number of rows, in this call, whose flags are other ones now.
        grades_changed: number of rows, in this call, whose grades are other ones now.
        failed: `image_id: why` of images that could not be measured; their rows stay.
        interrupted: whether it was stopped before the end.
    """

    out: str
    images: int = 0
    flags_changed: int = 0
    grades_changed: int = 0
    failed: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """Exit code of the command line."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        return EXIT_SOME_FAILED if self.failed else EXIT_DONE

    def as_json(self) -> dict[str, Any]:
        """The result for scripts."""
        return {
            "out": self.out, "images": self.images, "flags_changed": self.flags_changed,
            "grades_changed": self.grades_changed, "failed": self.failed,
            "interrupted": self.interrupted,
        }  # fmt: skip

    def text(self) -> str:
        """The result for people."""
        lines = [
            f"{self.images:,} images measured again; flags changed for {self.flags_changed:,}, "
            f"grades for {self.grades_changed:,}."
        ]
        if self.failed:
            lines.append(f"{len(self.failed):,} could not be measured, their rows stay:")
            lines += [f"  {printable(line)}" for line in self.failed[:_SHOWN]]
            if len(self.failed) > _SHOWN:
                lines.append(f"  and {len(self.failed) - _SHOWN:,} more")
        if self.interrupted:
            lines.append("Interrupted. Re-run the same command to resume.")
        else:
            lines.append(f"Next: magenet report {self.out}")
        return "\n".join(lines)
