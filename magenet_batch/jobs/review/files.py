"""The files of one decision: the enhanced image, the original, and which of both is delivered.

An enhanced image that is withheld lies aside, whole, until it is delivered again. One that a job
withheld was never written: it is made again, from the same original by the same weights, and must
measure as the one that was judged.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from magenet_batch.errors import ImageError, StorageError, WeightsError
from magenet_batch.jobs.options import ImageOptions
from magenet_batch.jobs.plan.plan import Task
from magenet_batch.jobs.policy import THRESHOLDS, Policy
from magenet_batch.jobs.work.content import keep_original, read_source, write_output
from magenet_batch.jobs.work.enhancers import EnhancerLike
from magenet_batch.jobs.work.process import ImageProcessor
from magenet_batch.records.layout import IMAGES, SET_ASIDE, original_name, set_aside_name
from magenet_batch.records.schema import Row
from magenet_batch.settings import MAX_PIXELS
from magenet_batch.storage import Location, remove_file, sha256_of

MEASURES = ("good_after", "usable_after", "reject_after", "fidelity", "vessel_contrast",
            "area_contrast", "macula_contrast")  # fmt: skip
TOLERANCE = 0.02
"""How far measures of the same image may lie apart that another machine made."""
_EVERYTHING = Policy("review", **dict.fromkeys(THRESHOLDS))


@dataclass
class Files:
    """The files of a job, as far as decisions need them.

    Attributes:
        out: the output folder.
        options: how the job read and wrote images.
        enhancer: loads the job's network when it is first needed.
    """

    out: Location
    options: ImageOptions
    enhancer: Callable[[], EnhancerLike]

    def deliver(self, task: Task, row: Row, *, digest: str | None) -> str:
        """Put the enhanced image where it is delivered.

        Args:
            task: the image.
            row: its row, of an image that is withheld.
            digest: SHA-256 of what was set aside, None where nothing was.

        Returns:
            SHA-256 of what is delivered.

        Raises:
            ImageError: it cannot be made again as it was.
            StorageError: the output folder takes nothing more.
        """
        if row.get("output"):
            _refuse_outside(row["output"])
        aside = self._aside(task, digest)
        if aside is None:
            aside = self._make_again(task, row)
        write_output(self.out, task.output, aside, flush=True)
        self._remove(row.get("output"), but=task.output)
        return sha256_of(aside)

    def withhold(self, task: Task, row: Row) -> tuple[str | None, str]:
        """Set the enhanced image aside and put the original in its place, as the job was told.

        Args:
            task: the image.
            row: its row, of an image that is delivered enhanced.

        Returns:
            The name of the original in the output folder, None where nothing is put there; and the
            SHA-256 of what was set aside.

        Raises:
            ImageError: the original has changed or is gone.
            StorageError: the output folder takes nothing more.
        """
        content = _original(task, row)
        place = self.out / set_aside_name(task.output)
        if not place.is_file():  # else this was begun before
            try:
                enhanced = (self.out / task.output).read_bytes()
            except OSError as error:
                raise ImageError("unreadable", "the enhanced image is gone") from error
            if enhanced == content:
                raise ImageError("unreadable", "the original lies where the enhanced image was")
            write_output(self.out, set_aside_name(task.output), enhanced, flush=True)
        digest = sha256_of(place.read_bytes())
        name = original_name(task.image_id)
        kept = keep_original(
            task, content, out=self.out, name=name, how=self.options.kept, flush=True
        )
        self._remove(task.output, but=kept)
        return kept, digest

    def restore_original(self, task: Task, row: Row, *, name: str | None) -> None:
        """Put the original back, as the job had left it before the enhanced one was delivered.

        Args:
            task: the image.
            row: its row.
            name: of the original in the output folder; None where there was none.
        """
        if name is not None:
            _refuse_outside(name)
            content = _original(task, row)
            keep_original(task, content, out=self.out, name=name, how=self.options.kept, flush=True)
        self._remove(task.output, but=name)

    def forget(self, task: Task) -> None:
        """Remove what was set aside; only after the rows say that it is delivered."""
        with contextlib.suppress(OSError, StorageError):
            (self.out / set_aside_name(task.output)).unlink(missing_ok=True)

    def _aside(self, task: Task, digest: str | None) -> bytes | None:
        """What was set aside, if it is there and the same."""
        try:
            found = (self.out / set_aside_name(task.output)).read_bytes()
        except OSError:
            return None
        same = digest is None or sha256_of(found) == digest
        return found if same else None

    def _make_again(self, task: Task, row: Row) -> bytes:
        """Enhance an image that was never written, and see that it is the one that was judged."""
        _original(task, row)
        options = replace(self.options, policy=_EVERYTHING, evidence=False)
        beside = self.out / SET_ASIDE
        try:
            enhancer = self.enhancer()
        except WeightsError as error:
            raise ImageError("error", f"it cannot be enhanced again: {error}") from error
        made = ImageProcessor(enhancer, out=beside, image_options=options).process(task)
        if made["status"] != "enhanced":
            why = made.get("message") or "it cannot be enhanced again"
            raise ImageError(made.get("reason") or "error", str(why))
        content: bytes = (beside / made["output"]).read_bytes()
        differs = [m for m in MEASURES if not _agree(row.get(m), made.get(m))]
        if differs:
            self.forget(task)
            raise ImageError(
                "error",
                f"enhanced again, it measures otherwise than when it was judged "
                f"({', '.join(differs)}): enhance and review it again",
            )
        return content

    def _remove(self, name: str | None, *, but: str | None) -> None:
        """Remove a file of the output folder that no row names any more."""
        if name is not None and name != but:
            _refuse_outside(name)
            remove_file(self.out / name, root=self.out)


def _refuse_outside(name: str) -> None:
    """Refuse a name in a row that leads out of the folder of the images."""
    if not name.startswith(f"{IMAGES}/") or ".." in name.split("/"):
        raise ImageError("error", "its row names a file outside of the output folder")


def _original(task: Task, row: Row) -> bytes:
    """The content of the original, if it is the one that was judged."""
    content = read_source(task, max_pixels=MAX_PIXELS)
    if row.get("sha256") and sha256_of(content) != row["sha256"]:
        raise ImageError("unreadable", "the original is another file than the one that was judged")
    return content


def _agree(recorded: Any, made: Any) -> bool:
    if recorded is None or made is None:
        return recorded is None and made is None
    return math.isclose(float(recorded), float(made), rel_tol=TOLERANCE, abs_tol=TOLERANCE)
