"""Workers that gather batches and have several threads: the same rows, in the same order."""

from __future__ import annotations

import random
import threading
import time
from itertools import zip_longest
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs_fakes import (
    FakeEnhancer,
    fake_factory,
    measure_nothing,
    outputs,
    rows,
    write_image,
)

from magenet_batch.errors import CancelledError, StorageError
from magenet_batch.jobs import run
from magenet_batch.jobs.engine.machine import allocate_workers
from magenet_batch.jobs.plan.plan import Task, make_plan
from magenet_batch.jobs.run import run_job
from magenet_batch.jobs.work import batches
from magenet_batch.jobs.work.batches import Batches
from magenet_batch.jobs.work.process import ImageProcessor, Work, is_out_of_memory
from magenet_batch.jobs.work.worker import Worker, WorkerConfig, WorkUnit
from magenet_batch.phantom import make_phantom


class Together(FakeEnhancer):
    """Enhances several images together, and remembers the sizes of all batches."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.seen: list[int] = []

    def enhance(self, pixels, fov, *, cancelled=lambda: False):
        self.sizes.append(1)
        return super().enhance(pixels, fov, cancelled=cancelled)

    def enhance_many(self, images, *, cancelled, each=map):
        self.sizes.append(len(images))
        self.seen += [int(pixels.sum()) for pixels, _ in images]
        return list(each(lambda image: FakeEnhancer.enhance(self, *image), images))


@pytest.fixture
def many(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive with two damaged files and more images; nothing is measured, to be quick."""
    measure_nothing(monkeypatch.setattr)
    (archive / "empty.jpg").write_bytes(b"")
    (archive / "many" / "2b.png").write_text("not an image")
    for seed in range(6):
        write_image(archive / "more" / f"{seed}.png", seed=20 + seed, size=96 + 8 * seed)
    return archive


@pytest.fixture
def with_batches(monkeypatch: pytest.MonkeyPatch):
    """Have jobs on the CPU work as on a GPU."""

    def force(batch: int = 4, readers: int = 2) -> None:
        allocated = run.allocation_for
        monkeypatch.setattr(
            run, "allocation_for",
            lambda *given, **how: allocated(*given, **how)._replace(batch=batch, readers=readers),
        )  # fmt: skip

    return force


def bare(out: Path) -> list[dict]:
    """Rows without the name of the enhancer."""
    return [row | {"weights": None} for row in rows(out)]


def test_rows_and_files_are_those_of_a_job_without_batches(options, many, tmp_path, with_batches):
    run_job(options(out=str(tmp_path / "one"), shard_size=7), enhancer_factory=fake_factory)
    with_batches()
    one = Together()
    run_job(options(shard_size=7), enhancer_factory=lambda device, threads: one)
    assert bare(tmp_path / "out") == bare(tmp_path / "one")
    assert outputs(tmp_path / "out") == outputs(tmp_path / "one")
    assert one.sizes == [4, 2, 4, 2, 3], "the images of each shard in the order of the plan"
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_two_runs_have_the_same_batches(options, many, tmp_path, with_batches):
    with_batches(batch=3, readers=3)
    found = []
    for name in ("first", "second"):
        one = Together()
        how = options(out=str(tmp_path / name), shard_size=17)
        run_job(how, enhancer_factory=lambda device, threads, one=one: one)
        found.append((one.sizes, one.seen))
    assert found[0] == found[1]
    assert found[0][0] == [3, 3, 3, 3, 3]


def test_an_enhancer_that_sees_single_images_gets_those(options, many, tmp_path, with_batches):
    with_batches()
    summary = run_job(options(), enhancer_factory=fake_factory)
    assert summary.counts.by_status == {"enhanced": 15, "failed": 2}


class Poisoned(Together):
    """Cannot do with images of 112 px."""

    def enhance(self, pixels, fov, *, cancelled=lambda: False):
        if pixels.shape[0] == 112:
            raise RuntimeError("this one is odd")
        return super().enhance(pixels, fov, cancelled=cancelled)

    def enhance_many(self, images, *, cancelled, each=map):
        self.sizes.append(len(images))
        return [Poisoned.enhance(self, *image) for image in images]


def test_a_poisoned_image_fails_alone(options, many, tmp_path, with_batches):
    with_batches()
    one = Poisoned()
    run_job(options(shard_size=17), enhancer_factory=lambda device, threads: one)
    failed = [row for row in rows(tmp_path / "out") if row["status"] == "failed"]
    assert [(r["image_id"], r["message"]) for r in failed if r["reason"] == "error"] == [
        ("more/2.png", "RuntimeError: this one is odd")
    ]
    assert len(failed) == 3 and len(outputs(tmp_path / "out")) == 14
    assert one.sizes.count(4) == 3, "batches stay as large as they were"


class Small(Together):
    """A GPU that has room for two images."""

    def enhance_many(self, images, *, cancelled, each=map):
        if len(images) > 2:
            self.sizes.append(-len(images))
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().enhance_many(images, cancelled=cancelled, each=each)


def test_a_batch_for_which_there_is_no_room_is_halved(options, many, tmp_path, with_batches):
    run_job(options(out=str(tmp_path / "one"), shard_size=17), enhancer_factory=fake_factory)
    with_batches(batch=8)
    one = Small()
    run_job(options(shard_size=17), enhancer_factory=lambda device, threads: one)
    assert bare(tmp_path / "out") == bare(tmp_path / "one")
    assert outputs(tmp_path / "out") == outputs(tmp_path / "one")
    assert one.sizes == [-8, *[1] * 8, -4, *[1] * 4, 2, 1]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(), RuntimeError("CUDA out of memory."),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)  # fmt: skip
def test_errors_that_say_that_memory_is_short_are_known(error):
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("a shape is wrong"))


class Stopped(Together):
    """Is asked to stop while its second batch is in the network."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__()
        self.stop = stop

    def enhance_many(self, images, *, cancelled, each=map):
        if self.sizes:
            self.stop.set()
        if cancelled():
            raise CancelledError("stopped")
        return super().enhance_many(images, cancelled=cancelled, each=each)


def test_a_stop_leaves_nothing_half_done(options, many, tmp_path, with_batches):
    run_job(options(out=str(tmp_path / "one"), shard_size=6), enhancer_factory=fake_factory)
    with_batches(batch=3)
    stop = threading.Event()
    one = Stopped(stop)

    def factory(device, threads):
        return one

    summary = run_job(options(shard_size=6), enhancer_factory=factory, stop=stop)
    out = tmp_path / "out"
    assert summary.interrupted and one.sizes == [3]
    assert not list(out.rglob("*.tmp")) and not list(out.glob("rows/*"))
    assert len(outputs(out)) == 3, "those that were being written were finished"
    stop.clear()
    one.sizes, one.stop = [], threading.Event()
    assert not run_job(options(shard_size=6), enhancer_factory=factory).interrupted
    assert bare(out) == bare(tmp_path / "one")
    assert outputs(out) == outputs(tmp_path / "one")


def test_a_full_disk_ends_a_job_with_several_writers(options, many, with_batches, monkeypatch):
    from magenet_batch.jobs.work import process

    def full(out, name, data, *, flush):
        raise StorageError("no room", persistent=True)

    with_batches()
    with monkeypatch.context() as patch:
        patch.setattr(process, "write_output", full)
        with pytest.raises(StorageError, match="no room"):
            run_job(options(), enhancer_factory=lambda device, threads: Together())


@settings(max_examples=12)
@given(
    seed=st.integers(0, 10**6),
    batch=st.integers(1, 5),
    readers=st.integers(1, 4),
    ahead=st.integers(1, 6),
)
def test_rows_keep_their_order_and_few_images_are_alive(
    seed, batch, readers, ahead, tmp_path_factory
):
    """Whatever every step takes, and whichever images fail or are not for the network."""
    chance = random.Random(seed)
    tasks = [Task(f"{n}", f"/{n}.png", f"images/{n}.png") for n in range(14)]
    kinds = {t.image_id: chance.choice(["good", "good", "kept", "failed"]) for t in tasks}
    pauses = {(t.image_id, step): chance.random() / 300 for t in tasks for step in "lcf"}
    alive, most, lock = set(), [0], threading.Lock()

    class Paused(ImageProcessor):
        def load(self, task):
            with lock:
                alive.add(task.image_id)
                most[0] = max(most[0], len(alive))
            time.sleep(pauses[task.image_id, "l"])
            work = Work(task, {"image_id": task.image_id})
            if kinds[task.image_id] == "failed":
                work.row["status"] = "failed"
            if kinds[task.image_id] == "kept":
                work.kept = "good"
            return work

        def compute(self, work):
            time.sleep(pauses[work.task.image_id, "c"])
            return work

        def compute_together(self, works, *, each):
            list(each(self.compute, works))

        def finish(self, work):
            time.sleep(pauses[work.task.image_id, "f"])
            with lock:
                alive.remove(work.task.image_id)
            return {"status": "failed"} | work.row

    config = WorkerConfig(
        out=str(tmp_path_factory.mktemp("out")), factory=lambda device, threads: Together(),
        device="cpu", threads=1, image_options=None, readers=readers, batch=batch, ahead=ahead,
    )  # fmt: skip
    worker = Worker(config)
    worker._processor.__class__ = Paused
    done = []
    found = worker._pipeline(tasks, lambda: done.append(worker.counters.images))
    assert [row["image_id"] for row in found] == [t.image_id for t in tasks]
    assert done == list(range(1, len(tasks) + 1))
    assert not alive and most[0] <= 2 * (ahead + batch) - 1


class Wanting:
    """A processor that knows which images are for the network."""

    batches = True

    def wants_network(self, work) -> bool:
        return work.kept is None


@given(
    images=st.lists(
        st.tuples(st.booleans(), st.sampled_from([10, 1000, 4000, 6000, 11_000])), max_size=30
    ),
    most=st.integers(1, 9),
)
def test_batches_follow_the_plan_and_have_a_bound(images, most):
    works = []
    for index, (wanted, side) in enumerate(images):
        kept = None if wanted else "good"
        works.append(Work(Task(f"{index}", "", ""), {}, kept=kept, pixel_count=side**2))
    found = list(Batches(Wanting(), most=most).gathered(iter(works)))
    for_network = [batch for batch in found if batch[0].kept is None]
    assert [w for batch in for_network for w in batch] == [w for w in works if w.kept is None]
    assert [b[0] for b in found if b[0].kept] == [w for w in works if w.kept]
    assert all(len(batch) == 1 for batch in found if batch[0].kept)
    for batch, after in zip_longest(for_network, for_network[1:], fillvalue=[]):
        pixels = [w.pixel_count for w in batch]
        assert len(batch) <= most
        assert sum(pixels) <= batches.BATCH_PIXELS or len(batch) == 1
        full = len(batch) == most or not after
        assert full or sum(pixels) + after[0].pixel_count > batches.BATCH_PIXELS


def test_the_network_itself_gives_the_same_rows_and_files(tmp_path, with_batches, options):
    root = tmp_path / "photographs"
    root.mkdir()
    for seed, (size, blur) in enumerate([(260, 0), (300, 2), (300, 0), (420, 1.5), (260, 3)]):
        pixels = make_phantom(seed, size=size).pixels
        pixels = cv2.GaussianBlur(pixels, (0, 0), blur) if blur else pixels
        pixels = pixels.astype(np.uint16) * 257 if size == 420 else pixels
        cv2.imwrite(str(root / f"{seed}.png"), pixels[..., ::-1])
    (root / "3b.png").write_bytes(b"no picture")
    how = {
        "archive": (str(root),), "shard_size": 6, "weights": "small",
        "policy_set": ("seen=0", "invented=1", "area=0"),
    }  # fmt: skip
    run_job(options(out=str(tmp_path / "one"), **how))
    with_batches()
    run_job(options(**how))
    one, four = rows(tmp_path / "one"), rows(tmp_path / "out")
    for first, second in zip(one, four, strict=True):
        assert first.keys() == second.keys()
        for name in first.keys() - {"output_sha256"}:
            value = first[name]
            near = pytest.approx(value, rel=0.01, abs=0.01) if isinstance(value, float) else value
            assert second[name] == near, name
    assert [row["status"] for row in one].count("enhanced") == 5
    for row in one:
        if row["output"]:
            a, b = (
                cv2.imread(str(tmp_path / out / row["output"]), cv2.IMREAD_UNCHANGED).astype(int)
                for out in ("one", "out")
            )
            assert np.abs(a - b).max() <= (257 if row["bit_depth"] == 16 else 1)


@pytest.mark.parametrize(
    ("cpus", "gpus", "workers", "gigabytes", "expected"),
    [
        (16, 1, None, 128, (8, 8, 47)),
        (64, 1, None, 256, (8, 8, 47)),
        (64, 4, 8, 256, (4, 8, 31)),
        (2, 1, None, 128, (1, 8, 19)),
        (1, 1, 0, 128, (1, 8, 19)),
        (16, 1, None, 16, (4, 8, 31)),
        (16, 1, None, 6, (1, 4, 11)),
        (16, 1, None, 1, (1, 1, 5)),
        (16, 0, 2, 1, (1, 1, 3)),
    ],
)
def test_cores_and_memory_decide_how_much_is_in_flight(cpus, gpus, workers, gigabytes, expected):
    found = allocate_workers(
        workers=workers, gpus=None, images=10**4, cpus=cpus, gpus_there=gpus,
        memory=gigabytes * 10**9,
    )  # fmt: skip
    assert (found.readers, found.batch, found.in_flight) == expected
    assert found.library_threads == (1 if gpus else cpus // workers)
    assert found.ahead == (2 * found.readers if gpus else 1)
    assert ("batches of" in found.text()) == (found.batch > 1)


def test_a_worker_writes_a_unit_with_batches(options, many, tmp_path):
    plan = make_plan(options(shard_size=17))
    config = WorkerConfig(
        out=str(tmp_path / "out"), factory=lambda device, threads: Together(), device="cpu",
        threads=1, image_options=options().image_options, readers=2, batch=4, ahead=4,
    )  # fmt: skip
    unit = WorkUnit(0, tuple(range(len(plan))), whole=False)
    outcome = Worker(config).run(unit, plan.slice(0, unit.positions))
    assert outcome.finished and outcome.counters.images == len(plan) == 17
    assert outcome.counters.failed == 2
    taken = [r["enhance_s"] for r in outcome.rows.to_pylist() if r["status"] == "enhanced"]
    assert all(0 < seconds < 5 for seconds in taken)
