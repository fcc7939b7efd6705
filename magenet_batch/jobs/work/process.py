"""One image from path to row."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import simplejpeg

from magenet_batch.errors import CancelledError, ImageError, StorageError
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.imaging.metadata import Provenance
from magenet_batch.imaging.names import format_to_write
from magenet_batch.imaging.read import FundusImage, read_image
from magenet_batch.imaging.write import encode_image
from magenet_batch.jobs.options import ImageOptions
from magenet_batch.jobs.plan.plan import Task
from magenet_batch.jobs.work.content import keep_original, read_source, write_output
from magenet_batch.jobs.work.deciding import decide
from magenet_batch.jobs.work.enhancers import BatchEnhancer, EnhancerLike
from magenet_batch.jobs.work.grey import in_grey
from magenet_batch.jobs.work.measuring import (
    LEAST_TO_MEASURE,
    EnhancementLike,
    measure_before,
    no_field_of_view,
)
from magenet_batch.jobs.work.preview import preview_of, reduced
from magenet_batch.quality.evidence import draw_evidence
from magenet_batch.quality.lettering import letters_outside
from magenet_batch.quality.recognition import recognise
from magenet_batch.records.layout import evidence_name, is_renamed, original_name, preview_name
from magenet_batch.records.rows import fail, start_row
from magenet_batch.records.schema import Row
from magenet_batch.records.vocabulary import (
    KEPT_REASONS,
    SPOTS_LEFT,
    WITHHELD_REASONS,
    KeptReason,
    WithheldReason,
)
from magenet_batch.settings import MAX_PIXELS
from magenet_batch.storage import Location, sha256_of

if TYPE_CHECKING:
    from magenet_batch.inference.batching import Each


_NO_MEMORY = re.compile(
    r"can't allocate memory|insufficient memory|out of memory|_ALLOC_FAILED", re.IGNORECASE
)
"""How torch, CUDA's libraries and OpenCV say it."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that there is not enough memory, of the host or of a GPU."""
    return isinstance(error, MemoryError) or bool(
        _NO_MEMORY.search(f"{type(error).__name__}: {error}")
    )


@dataclass
class Work:
    """An image on its way through the worker.

    Attributes:
        task: the image to process.
        row: values known so far.
        image: the decoded image, dropped when it is no longer needed.
        fov: its field of view.
        enhanced: result of the enhancer.
        content: bytes of the file, as long as the original may be delivered.
        kept: why it is not delivered enhanced, as far as is known.
        pixel_count: number of pixels as read, for the rate and the size of batches.
    """

    task: Task
    row: Row
    image: FundusImage | None = None
    fov: FieldOfView | None = None
    enhanced: EnhancementLike | None = None
    content: bytes = b""
    kept: KeptReason | WithheldReason | None = None
    pixel_count: int = 0
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether it has failed already."""
        return self.row.get("status") == "failed"

    @contextmanager
    def timed(self, column: str) -> Iterator[None]:
        """Add the time of a block to a timing column."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[column] = self.timings.get(column, 0.0) + time.perf_counter() - start


class ImageProcessor:
    """Takes images from path to row, in three steps that can run in several threads each.

    Only the middle one, the network, is for one thread.

    Args:
        enhancer: the network; None if images are only assessed.
        out: the output folder.
        image_options: how images are read and written.
        max_pixels: maximum number of pixels; larger images are refused as `too_large`.
        cancelled: called while the network works; return True to abandon the image.
    """

    def __init__(
        self,
        enhancer: EnhancerLike | None,
        *,
        out: Location,
        image_options: ImageOptions,
        max_pixels: int = MAX_PIXELS,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._enhancer = enhancer
        self._out = out
        self._options = image_options
        self._max_pixels = max_pixels
        self._cancelled = cancelled

    def process(self, task: Task) -> Row:
        """Process one image from path to row.

        Args:
            task: the image.

        Returns:
            Its row. Whatever is wrong with the image becomes a failed row, not an exception.

        Raises:
            StorageError: the output folder cannot be written to (full or read-only): no image's
                fault.
        """
        return self.finish(self.compute(self.load(task)))

    def load(self, task: Task) -> Work:
        """Read, hash and decode; find the field of view; measure the quality before."""
        network = self._enhancer
        name, digest = (network.weights_name, network.weights_hash) if network else (None, None)
        row = start_row(
            task.image_id, task.source, source_version=task.version, removed=task.removed,
            weights=name, weights_hash=digest,
        )  # fmt: skip
        work = Work(task, row)
        return self._guarded(work, self._load)

    @property
    def batches(self) -> bool:
        """Whether the enhancer can see several images together."""
        return isinstance(self._enhancer, BatchEnhancer)

    def wants_network(self, work: Work) -> bool:
        """Whether a loaded image is to go through the network."""
        return self._enhancer is not None and not work.failed and work.kept is None

    def compute(self, work: Work) -> Work:
        """Run the network, if the policy wants it.

        Raises:
            CancelledError: the image was abandoned.
        """
        return self._guarded(work, self._compute)

    def compute_together(self, works: Sequence[Work], *, each: Each) -> None:
        """Run the network for several images that want it, as one batch.

        Each image takes its share of the time. Where an error is raised, none has been changed.

        Args:
            works: the images.
            each: applies a function to every image, like `map`.

        Raises:
            CancelledError: the images were abandoned.
            Exception: anything that is wrong with one of the images, or with the batch as a whole.
        """
        assert isinstance(self._enhancer, BatchEnhancer)
        images = []
        for work in works:
            assert work.image is not None and work.fov is not None
            images.append((work.image.pixels, work.fov))
        start = time.perf_counter()
        enhanced = self._enhancer.enhance_many(images, cancelled=self._cancelled, each=each)
        share = (time.perf_counter() - start) / len(works)
        for work, one in zip(works, enhanced, strict=True):
            work.timings["enhance_s"] = work.timings.get("enhance_s", 0.0) + share
            self._take(work, one)

    def finish(self, work: Work) -> Row:
        """Measure the result, decide what is delivered, and write it."""
        self._guarded(work, self._finish)
        work.image, work.enhanced, work.content = None, None, b""
        return {**work.row, **work.timings}

    def _guarded(self, work: Work, step: Callable[[Work], None]) -> Work:
        """Run a step; a problem with the image ends in its row (rows in = rows out)."""
        if work.failed:
            return work
        try:
            step(work)
        except (StorageError, CancelledError):
            raise
        except ImageError as error:
            fail(work.row, error.reason, str(error))
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            if is_out_of_memory(error):
                said = "not enough memory for this image"
            fail(work.row, "error", said)
        if work.failed:
            work.image, work.enhanced, work.content = None, None, b""
        return work

    def _load(self, work: Work) -> None:
        how = self._options
        with work.timed("read_s"):
            work.content = read_source(work.task, max_pixels=self._max_pixels)
            image = read_image(
                work.content, max_pixels=self._max_pixels, page=how.page,
                colour_model=how.colour_model,
                reduced_to=LEAST_TO_MEASURE if how.assess else None,
            )  # fmt: skip
        width, height = image.size
        work.row.update(
            bytes=image.bytes, sha256=image.sha256, width=width, height=height,
            format=image.format, bit_depth=image.bit_depth,
            decoder_note="; ".join(image.notes) or None,
        )  # fmt: skip
        work.pixel_count = height * width
        whole = image.pixels
        if how.resolution is not None and image.pixels.shape[1] > how.resolution:
            image = replace(image, pixels=reduced(image.pixels, how.resolution / width))
        with work.timed("enhance_s"):
            fov = find_fov(image.pixels)
        with work.timed("measure_s"):
            recognised = recognise(image.pixels, fov)
        work.row["flags"] = [] if recognised is None else [recognised]
        if recognised is not None and not (recognised == "not_colour" and how.grey == "enhance"):
            work.kept = recognised
        if not how.assess:
            work.row["policy"] = how.policy.record()
        work.image, work.fov = image, fov
        if fov is None:
            if work.kept is None:
                raise no_field_of_view()
            return
        work.row.update(_place(fov, width / image.pixels.shape[1]))
        with work.timed("measure_s"):
            work.row["burned_in_text"] = letters_outside(whole, fov)
            work.row.update(measure_before(image.pixels, fov))
        if not how.assess and work.kept is None:
            work.kept = how.policy.before(work.row)
        if how.assess or (work.kept is None and not how.policy.withholds):
            work.content = b""  # the original can no longer be delivered

    def _compute(self, work: Work) -> None:
        if self._enhancer is None or work.kept is not None:
            return
        assert work.image is not None and work.fov is not None
        with work.timed("enhance_s"):
            enhanced = self._enhancer.enhance(
                work.image.pixels, work.fov, cancelled=self._cancelled
            )
        self._take(work, enhanced)

    def _take(self, work: Work, enhanced: EnhancementLike) -> None:
        """Keep what the network made of an image."""
        work.enhanced = self._shown(work, enhanced)

    def _shown(self, work: Work, enhanced: EnhancementLike) -> EnhancementLike:
        """What the network made of an image, in grey if the image is."""
        assert work.image is not None
        grey = "not_colour" in work.row["flags"]
        return in_grey(enhanced, work.image.pixels) if grey else enhanced

    def _finish(self, work: Work) -> None:
        image, fov, enhanced = work.image, work.fov, work.enhanced
        if self._options.assess:
            work.row["status"] = "assessed"
            return
        if enhanced is not None:
            assert image is not None and fov is not None and self._enhancer is not None
            _refuse_non_finite(enhanced)
            with work.timed("measure_s"):
                enhanced = self._decided(work, image, fov, enhanced)
            if self._options.evidence:
                with work.timed("write_s"):
                    self._show(work, image, fov, enhanced)
            if work.kept in WITHHELD_REASONS:
                with work.timed("write_s"):
                    self._preview(work, enhanced)
        if work.kept is not None:
            self._keep(work, work.kept)
            return
        assert image is not None and enhanced is not None
        with work.timed("write_s"):
            text = bool(work.row["burned_in_text"])
            data = self._encoded(work.task, image, enhanced.pixels, text_found=text)
            write_output(self._out, work.task.output, data, flush=False)
        work.row.update(
            status="enhanced", output=work.task.output, look=self._options.look,
            output_sha256=sha256_of(data),
        )  # fmt: skip

    def _decided(
        self, work: Work, image: FundusImage, fov: FieldOfView, enhanced: EnhancementLike
    ) -> EnhancementLike:
        """Decide whether the enhanced image is delivered, perhaps with its dust; return it."""
        enhancer = self._enhancer
        assert enhancer is not None

        def with_spots() -> EnhancementLike:
            again = enhancer.enhance(image.pixels, fov, cancelled=self._cancelled, spots=False)
            _refuse_non_finite(again)
            return self._shown(work, again)

        found = decide(
            image.pixels, enhanced, fov, before=work.row, policy=self._options.policy,
            detector=enhancer, with_spots=with_spots,
        )  # fmt: skip
        flags = work.row["flags"] + found.measured["flags"]
        work.row.update(found.measured, flags=flags)
        work.kept = found.kept
        if found.spots_left:
            work.row["message"] = SPOTS_LEFT
        return found.enhanced

    def _keep(self, work: Work, reason: KeptReason | WithheldReason) -> None:
        """Deliver the original in place of the enhanced image, or nothing, as the options say."""
        how = self._options.rejects if reason in ("reject", "hopeless") else self._options.kept
        with work.timed("write_s"):
            output = keep_original(
                work.task,
                work.content,
                out=self._out,
                name=original_name(work.task.image_id),
                how=how,
                flush=False,
            )
        status = "kept" if reason in KEPT_REASONS else "withheld"
        message = (KEPT_REASONS | WITHHELD_REASONS)[reason]
        work.row.update(
            status=status, reason=reason, message=message, output=output,
            output_sha256=None if output is None else work.row["sha256"],
        )  # fmt: skip

    def _show(
        self, work: Work, image: FundusImage, fov: FieldOfView, enhanced: EnhancementLike
    ) -> None:
        """Write the picture of what changed."""
        drawn = draw_evidence(
            image.pixels, enhanced.pixels, fov,
            vessels_before=enhanced.vessels_before, vessels_after=enhanced.vessels_after,
        )  # fmt: skip
        name = evidence_name(work.task.image_id)
        write_output(self._out, name, simplejpeg.encode_jpeg(drawn, quality=85), flush=False)
        work.row["evidence"] = name

    def _preview(self, work: Work, enhanced: EnhancementLike) -> None:
        """Write a small picture of what is withheld, for those who review it."""
        name = preview_name(work.task.image_id)
        write_output(self._out, name, preview_of(enhanced.pixels), flush=False)
        work.row["preview"] = name

    def _encoded(
        self, task: Task, image: FundusImage, pixels: np.ndarray, *, text_found: bool
    ) -> bytes:
        assert self._enhancer is not None
        how = self._options
        renamed = is_renamed(task.output, key=task.image_id)
        options: dict[str, Any] = {} if how.quality is None else {"quality": how.quality}
        return encode_image(
            pixels, like=image, metadata=how.metadata,
            format=format_to_write(image.format, renamed=renamed, wanted=how.output_format),
            provenance=Provenance(self._enhancer.weights_name, self._enhancer.weights_hash),
            dicom_syntax=how.dicom_syntax, deidentify=how.deidentify, text_found=text_found,
            **options,
        )  # fmt: skip


def _place(fov: FieldOfView, scale: float) -> Row:
    """The columns of the field of view, in pixels of the original."""
    off = np.hypot(fov.x - fov.width / 2, fov.y - fov.height / 2) / fov.radius
    return {
        "fov_x": fov.x * scale, "fov_y": fov.y * scale, "fov_radius": fov.radius * scale,
        "fov_coverage": fov.coverage, "fov_offset": float(off),
    }  # fmt: skip


def _refuse_non_finite(enhanced: EnhancementLike) -> None:
    maps = (enhanced.pixels, enhanced.vessels_before, enhanced.vessels_after)
    for values in maps:
        if values is not None and values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ImageError("non_finite", "the network produced NaN or infinity")
