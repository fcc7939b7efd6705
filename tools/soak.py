"""Soak: memory, file handles and rates of a long job, and of a service that is killed at random.

    python tools/soak.py job --images 1000000 --minutes 60 [--folder /dev/shm/soak]
        [-o tools/results/soak.json] [--plot docs/images/soak.png]
    python tools/soak.py watch --minutes 25 --seed 1
        [-o tools/results/soak_watch.json] [--plot docs/images/soak_watch.png]

`job` works through hard links to a tiny image with the true plan, lock, worker, ledger and final
check, but without looking into the images: each is read, hashed and written as it is. `watch` lets
tiny images arrive at random while a process of the service is killed (SIGKILL) or stopped
(SIGTERM) after 20 to 60 seconds and started again (`soak_watch.py`); the result must then be that
of one undisturbed job, byte for byte, with each image in one row. A process that is soaked is
watched from outside.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "jobs"))

import jobs_fakes
import numpy as np
import psutil
from samples import Samples
from soak_watch import SPAWN, options_of, soak_watch, written_in

from magenet_batch.jobs.ledger.status import read_status
from magenet_batch.jobs.run import run_job
from magenet_batch.jobs.work import worker
from magenet_batch.jobs.work.process import ImageProcessor, Work
from magenet_batch.records.rows import start_row
from magenet_batch.records.schema import Row
from magenet_batch.storage import sha256_of, write_atomic

IN_FOLDER = 1000  # images of a folder; file systems limit the links to one file


class Copying(ImageProcessor):
    """Delivers every image as it is, without decoding it."""

    def load(self, task: Any) -> Work:
        row = start_row(task.image_id, task.source, source_version=task.version,
                        removed=task.removed, weights=None, weights_hash=None)  # fmt: skip
        return Work(task, row, content=task.path.read_bytes())

    def compute(self, work: Work) -> Work:
        return work

    def finish(self, work: Work) -> Row:
        write_atomic(self._out / work.task.output, work.content, root=self._out, flush=False)
        digest = sha256_of(work.content)
        return work.row | {
            "status": "kept", "reason": "good", "output": work.task.output, "sha256": digest,
            "output_sha256": digest, "bytes": len(work.content), "width": 32, "height": 32,
        }  # fmt: skip


def make_archive(folder: Path, images: int) -> None:
    """Hard links to a tiny image in each folder."""
    first = jobs_fakes.write_image(folder / "tiny.jpg", size=32)
    content = first.read_bytes()
    for index in range(images):
        path = folder / "in" / f"{index // IN_FOLDER:05d}" / f"{index:08d}.jpg"
        if index % IN_FOLDER:
            os.link(first, path)
        else:
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
            first = path


def do_job(folder: Path) -> None:
    """The job, in a process of its own."""
    worker.ImageProcessor = Copying  # type: ignore[misc]
    summary = run_job(options_of(folder), enhancer_factory=jobs_fakes.fake_factory)
    sys.exit(summary.exit_code)


def images_done(out: Path) -> int:
    """Images of finished shards, of which at most the last is smaller than the others."""
    try:
        planned = json.loads((out / "run.json").read_text(encoding="utf-8"))["plan"]
        done = len(os.listdir(out / "rows"))  # noqa: PTH208  many names
    except (OSError, ValueError):
        return 0
    return min(int(planned["images"]), done * int(planned["shard_size"]))


def soak_job(folder: Path, *, images: int, minutes: float, every: float) -> dict[str, Any]:
    """Run a job, for a limited time, and look at its process."""
    make_archive(folder, images)
    process = SPAWN.Process(target=do_job, args=(folder,))
    samples = Samples(lambda: images_done(folder / "out"))
    process.start()
    began = time.monotonic()
    while process.is_alive():
        samples.take(process.pid or 0)
        process.join(every)
        if time.monotonic() - began > 60 * minutes and process.is_alive():
            os.kill(process.pid or 0, signal.SIGINT)
            process.join(600)
    seconds = time.monotonic() - began
    status = read_status(folder / "out")
    written = sum(1 for _ in (folder / "out" / "images").rglob("*.jpg"))
    return {
        "images": images, "done": status.counts.images, "written": written,
        "exit_code": process.exitcode, "seconds": seconds, "load": os.getloadavg()[0],
        "folder": _kind_of(folder), **samples.result(),
    }  # fmt: skip


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw memory, handles and rate over time."""
    from magenet_batch.training.results import Panel, picture

    table = np.array(found["samples"])
    minutes = table[:, 0] / 60
    rate = np.diff(table[:, 1]) / np.diff(table[:, 0])
    lines = {
        "images/s": np.stack([minutes[1:], rate], 1),
        "memory (MiB)": np.stack([minutes, table[:, 2]], 1),
        "open files": np.stack([minutes, table[:, 3]], 1),
        "threads": np.stack([minutes, table[:, 4]], 1),
    }
    title = f"{found['done']:,} images; over minutes"
    picture({title: [Panel(name, {name: line}) for name, line in lines.items()]}).save(path)


def _kind_of(folder: Path) -> str:
    mounts = [p for p in psutil.disk_partitions(all=True) if folder.is_relative_to(p.mountpoint)]
    return max(mounts, key=lambda p: len(p.mountpoint)).fstype


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["job", "watch"])
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=5, help="seconds between two samples")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder, limits = Path(name), {"images": given.images, "minutes": given.minutes}
        if given.what == "job":
            found = soak_job(folder, **limits, every=given.every)
            well = found["exit_code"] in (0, 130) and found["done"] == found["written"]
        else:
            samples = Samples(lambda: written_in(folder / "out"))
            found = soak_watch(
                folder, samples=samples, **limits, seed=given.seed, every=given.every
            )
            found |= samples.result()
            well = found["exit_code"] == 0 and not found["differences"]
            well = well and found["arrived"] == found["rows"] == found["done"] == found["written"]
        well = well and found["steady"]
    print(json.dumps({k: v for k, v in found.items() if k != "samples"}, indent=1))
    if given.output:
        given.output.write_text(json.dumps(found) + "\n", encoding="utf-8")
    if given.plot:
        draw(found, given.plot)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
