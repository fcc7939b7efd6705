"""Images that the network sees together, and what happens when that fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from magenet_batch.errors import CancelledError, StorageError
from magenet_batch.jobs.work.process import ImageProcessor, Work, is_out_of_memory

if TYPE_CHECKING:
    from magenet_batch.inference.batching import Each

BATCH_PIXELS = 100_000_000
"""Pixels of the images of a batch, together: eight of 12 megapixels. A larger image is alone."""


class Batches:
    """Gathers images for the network in the order of the plan, and runs it.

    What is in a batch depends on the images alone, never on what is ready: two runs of a job give
    the same batches. Only a device that is out of memory changes that.

    Args:
        processor: takes images from path to row.
        most: number of images in a batch, at most.
        each: applies a function to every image of a batch, like `map`.
    """

    def __init__(self, processor: ImageProcessor, *, most: int, each: Each = map) -> None:
        self._processor, self._each = processor, each
        self.most = most if processor.batches else 1
        """Number of images in a batch, at most, from now on."""

    def gathered(self, works: Iterable[Work]) -> Iterator[list[Work]]:
        """Divide loaded images into batches of those that follow each other.

        An image that the network is not to see does not count: it comes at once, by itself, also
        before images that are still being gathered.

        Args:
            works: loaded images, in the order of the plan.
        """
        gathering: list[Work] = []
        pixels = 0
        for work in works:
            if not self._processor.wants_network(work):
                yield [work]
                continue
            if gathering and pixels + work.pixel_count > BATCH_PIXELS:
                yield gathering
                gathering, pixels = [], 0
            gathering.append(work)
            pixels += work.pixel_count
            if len(gathering) >= self.most:
                yield gathering
                gathering, pixels = [], 0
        if gathering:
            yield gathering

    def compute(self, works: Sequence[Work]) -> None:
        """Run the network for a batch.

        If that fails, for whatever reason, each image is tried alone, so that a fault stays with
        the image that has it. If the device was out of memory, batches are half as large from then
        on.

        Raises:
            CancelledError: the images were abandoned.
            StorageError: the output folder cannot be written to.
        """
        if len(works) > 1 and self._together(works):
            return
        for work in works:
            self._processor.compute(work)

    def _together(self, works: Sequence[Work]) -> bool:
        """Whether it went well."""
        try:
            self._processor.compute_together(works, each=self._each)
        except (StorageError, CancelledError):
            raise
        except Exception as error:
            if is_out_of_memory(error):
                self.most = max(1, len(works) // 2)
            return False
        return True
