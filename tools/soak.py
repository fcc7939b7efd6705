"""Soak: memory, file handles and rates of a long job, and of a service that is killed at random.

    python tools/soak.py job --images 1000000 --minutes 60 [--folder /dev/shm/soak]
        [-o tools/results/soak.json] [--plot docs/images/soak.png]
    python tools/soak.py watch --images 2000 --minutes 30 --seed 1
        [-o tools/results/soak_watch.json]

`job` works through hard links to a tiny image with the true plan, lock, worker, ledger and final
check, but without looking into the images: each is read, hashed and written as it is. `watch` lets
tiny images arrive at random while a process of the service is killed (SIGKILL) or stopped
(SIGTERM) at random and started again; the result must then be that of one undisturbed job, byte
for byte. A process that is soaked is watched from outside.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
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

from magenet_batch.jobs.ledger.state import is_known
from magenet_batch.jobs.ledger.status import read_status
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.run import run_job
from magenet_batch.jobs.watch.metrics import Metrics
from magenet_batch.jobs.watch.service import Watch
from magenet_batch.jobs.work import worker
from magenet_batch.jobs.work.process import ImageProcessor, Work
from magenet_batch.records.rows import start_row
from magenet_batch.records.schema import Row
from magenet_batch.storage import sha256_of, write_atomic

IN_FOLDER = 1000  # images of a folder; file systems limit the links to one file
GROWTH_MIB = 64.0
"""How much the second half of a job may take more memory than the first, beside its plan."""
PATIENCE_S = 60.0
"""A service that has finished nothing after this time is killed all the same."""
_SPAWN = multiprocessing.get_context("spawn")


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


def options_of(folder: Path, *, out: str = "out", watched: bool = False) -> JobOptions:
    return JobOptions(archive=(str(folder / "in"),), out=str(folder / out), workers=0, gpus=0,
                      policy="all", append=watched)  # fmt: skip


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


def do_watch(folder: Path) -> None:
    """The service, in a process of its own."""
    jobs_fakes.measure_nothing()
    options = options_of(folder, watched=True)
    Watch(options, every=0.5, metrics=Metrics(), enhancer_factory=jobs_fakes.fake_factory).run()


def images_done(out: Path) -> int:
    """Images of finished shards, of which at most the last is smaller than the others."""
    try:
        planned = json.loads((out / "run.json").read_text(encoding="utf-8"))["plan"]
        done = len(os.listdir(out / "rows"))  # noqa: PTH208  many names
    except (OSError, ValueError):
        return 0
    return min(int(planned["images"]), done * int(planned["shard_size"]))


class Samples:
    """What a process takes over time.

    Args:
        out: the output folder of its job.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._began = time.monotonic()
        self.lines: list[list[float]] = []

    def take(self, pid: int) -> None:
        """Look at the process: seconds, images, MiB, open files, threads."""
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                found = [process.memory_info().rss / 2**20, process.num_fds(),
                         process.num_threads()]  # fmt: skip
        except psutil.NoSuchProcess:
            return
        done = images_done(self._out)
        self.lines.append([time.monotonic() - self._began, done, *found])

    def table(self) -> np.ndarray:
        """(N, 5): seconds, images, MiB, open files, threads."""
        return np.array(self.lines, np.float64).reshape(-1, 5)


def soak_job(folder: Path, *, images: int, minutes: float, every: float) -> dict[str, Any]:
    """Run a job, for a limited time, and look at its process."""
    make_archive(folder, images)
    process = _SPAWN.Process(target=do_job, args=(folder,))
    samples = Samples(folder / "out")
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
        "folder": _kind_of(folder), **judged(samples.table()),
        "samples": samples.table()[:: max(1, len(samples.lines) // 200)].round(1).tolist(),
    }  # fmt: skip


def judged(table: np.ndarray) -> dict[str, Any]:
    """Rates, memory and handles at the beginning and at the end of the work.

    Args:
        table: from `Samples.table`.
    """
    work = table[(table[:, 1] > 0) & (table[:, 1] < table[-1, 1])]
    if len(work) < 8:
        raise SystemExit("the job was too short to say anything")
    parts = {"first": work[: len(work) // 4], "last": work[-(len(work) // 4) :]}
    found: dict[str, Any] = {}
    for name, part in parts.items():
        span, images = part[-1] - part[0], part[:, 2:]
        found[f"{name}_quarter"] = {
            "images_per_s": float(span[1] / span[0]), "mib": float(np.median(images[:, 0])),
            "handles": int(images[:, 1].max()), "threads": int(images[:, 2].max()),
        }  # fmt: skip
    grown = found["last_quarter"]["mib"] - found["first_quarter"]["mib"]
    steady = found["last_quarter"]["handles"] <= found["first_quarter"]["handles"] + 2
    return found | {"peak_mib": float(table[:, 2].max()), "steady": bool(
        steady and grown < GROWTH_MIB
    )}  # fmt: skip


class Service:
    """The service in a process that is killed and started again.

    Args:
        folder: holds inbox and output.
        dice: decides when and how it ends.
    """

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self._folder, self._dice = folder, dice
        self.killed = {"SIGKILL": 0, "SIGTERM": 0}
        self.start()

    def start(self) -> None:
        """Start it, and decide when it ends: after it has finished something, or much later."""
        self.process = _SPAWN.Process(target=do_watch, args=(self._folder,))
        self.process.start()
        now = time.monotonic()
        self._had = self._finished()
        self._from, self._late = now + self._dice.expovariate(1 / 8), now + PATIENCE_S

    def tick(self) -> None:
        """End it and start it again, if it is time."""
        now = time.monotonic()
        worked = self._finished() > self._had
        if now > self._late or (worked and now > self._from):
            how = self._dice.choice(("SIGKILL", "SIGKILL", "SIGTERM"))
            self.end(how)
            self.killed[how] += 1
            self.start()

    def end(self, how: str) -> int | None:
        """End it; returns the exit code."""
        os.kill(self.process.pid or 0, getattr(signal, how))
        self.process.join(120)
        return self.process.exitcode

    def _finished(self) -> int:
        return len(list((self._folder / "out").glob("rows/*.parquet")))


def soak_watch(folder: Path, *, images: int, minutes: float, seed: int) -> dict[str, Any]:
    """Let images arrive while the service is killed, then compare with an undisturbed job."""
    rng = random.Random(seed)
    drawn = [jobs_fakes.write_image(folder / f"drawn/{i}.png", seed=i, size=48) for i in range(16)]
    inbox = folder / "in"
    inbox.mkdir()
    began, arrived = time.monotonic(), 0
    service = Service(folder, random.Random(seed + 1))
    try:
        while arrived < images and time.monotonic() - began < 60 * minutes:
            for _ in range(rng.randrange(1, 6)):
                shutil.copy(rng.choice(drawn), folder / "arriving")
                (folder / "arriving").rename(inbox / f"{rng.randrange(10**9):09d}-{arrived}.png")
                arrived += 1
            time.sleep(rng.expovariate(2.0))
            service.tick()
        _wait_for(folder / "out", arrived, service.process)
        code = service.end("SIGTERM")
    finally:
        service.process.kill()
    jobs_fakes.measure_nothing()
    run_job(options_of(folder, out="whole"), enhancer_factory=jobs_fakes.fake_factory)
    return {
        "arrived": arrived, "killed": service.killed, "exit_code": code, "seed": seed,
        "seconds": time.monotonic() - began, "load": os.getloadavg()[0],
        "differences": differences(folder / "out", folder / "whole"),
    }  # fmt: skip


def _wait_for(out: Path, images: int, process: Any) -> None:
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and process.is_alive():
        time.sleep(1)
        if not is_known(out):
            continue
        status = read_status(out)
        if status.complete and status.counts.images == images:
            return
    raise SystemExit(f"the service did not finish {images} images")


def differences(out: Path, whole: Path) -> list[str]:
    """How the result of a service differs from that of one job over everything."""
    some, all_ = (
        sorted(jobs_fakes.rows(place), key=lambda row: str(row["image_id"]))
        for place in (out, whole)
    )
    wrong = [] if some == all_ else ["rows"]
    wrong += [] if jobs_fakes.outputs(out) == jobs_fakes.outputs(whole) else ["outputs"]
    return wrong + [f"left over: {path.name}" for path in out.rglob("*.tmp")]


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
            well = well and found["steady"]
        else:
            found = soak_watch(folder, **limits, seed=given.seed)
            well = found["exit_code"] == 0 and not found["differences"]
    print(json.dumps({k: v for k, v in found.items() if k != "samples"}, indent=1))
    if given.output:
        given.output.write_text(json.dumps(found) + "\n", encoding="utf-8")
    if given.plot:
        draw(found, given.plot)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
