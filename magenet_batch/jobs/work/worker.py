"""The worker: turns units of images into rows, reading and writing in parallel with the network."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa

from magenet_batch.errors import CancelledError
from magenet_batch.jobs.options import ImageOptions
from magenet_batch.jobs.plan.plan import Task, extra_of, tasks_of
from magenet_batch.jobs.work.batches import Batches
from magenet_batch.jobs.work.enhancers import EnhancerFactory
from magenet_batch.jobs.work.process import ImageProcessor, Work
from magenet_batch.records.rows import rows_table
from magenet_batch.records.schema import Row
from magenet_batch.records.sidecar import write_first_rows
from magenet_batch.storage import location_of


@dataclass(frozen=True)
class WorkUnit:
    """Images of one shard that are processed together.

    Attributes:
        shard: number of the shard.
        positions: positions of the images in the shard.
        whole: whether the worker writes the shard's rows file itself; else it returns the rows.
        tries: number of starts, including this one.
        suspect: whether its worker died before; it is then halved until the guilty image is found.
    """

    shard: int
    positions: tuple[int, ...]
    whole: bool
    tries: int = 1
    suspect: bool = False


@dataclass(frozen=True)
class Counters:
    """Progress of a worker in its unit: images done, failures among them, pixels done."""

    images: int = 0
    failed: int = 0
    pixels: int = 0


@dataclass(frozen=True)
class Outcome:
    """Answer of a worker.

    Attributes:
        finished: False if it was stopped before the end: nothing is committed then.
        rows: rows of the unit, if the worker did not write them itself.
        counters: the work that was done.
    """

    finished: bool
    rows: pa.Table | None
    counters: Counters


@dataclass(frozen=True)
class WorkerConfig:
    """Configuration of a worker, which can be sent to another process.

    Attributes:
        out: the output folder.
        factory: makes the enhancer; None if nothing is enhanced.
        device: `cpu` or `cuda:0`.
        threads: CPU threads of the network and of OpenCV.
        image_options: how images are read and written.
        readers: number of threads that read and measure images; as many measure and write them,
            and as many do what precedes and follows the network for the images of a batch.
        batch: number of images that the network sees together, at most.
        ahead: number of images that are read ahead of those in the network.
        sidecars: whether to write rows beside the images too.
    """

    out: str
    factory: EnhancerFactory | None
    device: str
    threads: int
    image_options: ImageOptions
    readers: int = 1
    batch: int = 1
    ahead: int = 1
    sidecars: bool = False


class Worker:
    """Loads the network once and processes units; the same in a Ray actor and inline.

    Args:
        config: configuration of the worker.
        stop: set to abandon the images in the network; None creates one.

    Raises:
        WeightsError: the weights cannot be loaded.
    """

    def __init__(self, config: WorkerConfig, *, stop: threading.Event | None = None) -> None:
        import cv2

        cv2.setNumThreads(config.threads)
        self._out = location_of(config.out)
        self._ahead = config.ahead
        self._sidecars = config.sidecars
        enhancer = config.factory and config.factory(config.device, config.threads)
        self._stop = stop or threading.Event()
        self._processor = ImageProcessor(
            enhancer, out=self._out, image_options=config.image_options, cancelled=self._stop.is_set
        )
        self._counters = Counters()
        self._counting = threading.Lock()
        # Threads of their own for each step, so that a slow disk cannot block both.
        self._readers = ThreadPoolExecutor(config.readers, thread_name_prefix="read")
        self._writers = ThreadPoolExecutor(config.readers, thread_name_prefix="write")
        helpers = ThreadPoolExecutor(config.readers, thread_name_prefix="enhance")
        self._batches = Batches(
            self._processor, most=config.batch, each=helpers.map if config.readers > 1 else map
        )
        self._behind = config.ahead + config.batch - 1

    @property
    def counters(self) -> Counters:
        """Progress in the current unit."""
        return self._counters

    def stop(self) -> None:
        """Abandon the images in the network; those that are being written are finished."""
        self._stop.set()

    def run(
        self, unit: WorkUnit, part: pa.Table, *, on_image: Callable[[], None] | None = None
    ) -> Outcome:
        """Process a unit.

        Args:
            unit: the images.
            part: the plan's rows of these images, in the same order.
            on_image: called after every image, by a thread that writes, by one at a time.

        Returns:
            The work that was done.

        Raises:
            StorageError: the output folder cannot be written to.
        """
        self._counters = Counters()
        rows = self._pipeline(tasks_of(part), on_image or (lambda: None))
        if rows is None:
            return Outcome(finished=False, rows=None, counters=self._counters)
        table = rows_table(rows, extra_of(part))
        if not unit.whole:
            return Outcome(finished=True, rows=table, counters=self._counters)
        sidecars = range(len(table)) if self._sidecars else ()
        write_first_rows(table, self._out, unit.shard, sidecars=sidecars)
        return Outcome(finished=True, rows=None, counters=self._counters)

    def _pipeline(self, tasks: Sequence[Task], on_image: Callable[[], None]) -> list[Row] | None:
        """Read ahead, compute here, write behind; rows in the order of the tasks.

        At most `2 * (ahead + batch) - 1` decoded images are alive at a time.
        """
        rows: dict[str, Row] = {}
        writing: deque[tuple[str, Future[Row]]] = deque()

        def wait(*, at_most: int) -> None:
            while len(writing) > at_most:
                image_id, future = writing.popleft()
                rows[image_id] = future.result()

        for works in self._batches.gathered(self._loaded(tasks)):
            if self._stop.is_set():
                break
            try:
                self._batches.compute(works)
            except CancelledError:
                break
            for work in works:
                wait(at_most=self._behind - 1)
                future = self._writers.submit(self._finish, work, on_image)
                writing.append((work.task.image_id, future))
        wait(at_most=0)
        return [rows[task.image_id] for task in tasks] if len(rows) == len(tasks) else None

    def _loaded(self, tasks: Sequence[Task]) -> Iterator[Work]:
        """Yield loaded images in order, reading `ahead` of them in advance."""
        waiting = iter(tasks)
        loading = deque(
            self._readers.submit(self._processor.load, t) for t in islice(waiting, self._ahead)
        )
        try:
            while loading:
                work = loading.popleft().result()
                loading.extend(
                    self._readers.submit(self._processor.load, t) for t in islice(waiting, 1)
                )
                yield work
        finally:
            for future in loading:
                future.cancel()

    def _finish(self, work: Work, on_image: Callable[[], None]) -> Row:
        """Measure, write and count an image; runs in parallel with the network."""
        row = self._processor.finish(work)
        with self._counting:
            before = self._counters
            self._counters = Counters(
                images=before.images + 1,
                failed=before.failed + (row["status"] == "failed"),
                pixels=before.pixels + work.pixel_count,
            )
            on_image()
        return row
