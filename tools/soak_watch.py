"""A service under a killer, for `soak.py`: images arrive while it is killed and started again."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "jobs"))

import jobs_fakes
from samples import Samples

from magenet_batch.jobs.ledger.state import is_known
from magenet_batch.jobs.ledger.status import read_status
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.run import run_job
from magenet_batch.jobs.watch.metrics import Metrics
from magenet_batch.jobs.watch.service import Watch

SPAWN = multiprocessing.get_context("spawn")
_LAST_S = 600.0
"""How long the service may take for what is left when nothing arrives any more."""


def options_of(folder: Path, *, out: str = "out", watched: bool = False) -> JobOptions:
    """The options of a soak, whose archive is `in`."""
    return JobOptions(archive=(str(folder / "in"),), out=str(folder / out), workers=0, gpus=0,
                      policy="all", append=watched)  # fmt: skip


def do_watch(folder: Path) -> None:
    """The service, in a process of its own."""
    jobs_fakes.measure_nothing()
    options = options_of(folder, watched=True)
    Watch(options, every=0.5, metrics=Metrics(), enhancer_factory=jobs_fakes.fake_factory).run()


def do_whole(folder: Path) -> None:
    """One undisturbed job over everything, in a process of its own."""
    jobs_fakes.measure_nothing()
    summary = run_job(options_of(folder, out="whole"), enhancer_factory=jobs_fakes.fake_factory)
    sys.exit(summary.exit_code)


class Service:
    """The service in a process that is killed and started again.

    Args:
        folder: holds inbox and output.
        dice: decides when and how it ends.
        gap: least and greatest time until it ends, seconds.
    """

    def __init__(self, folder: Path, dice: random.Random, *, gap: tuple[float, float]) -> None:
        self._folder, self._dice, self._gap = folder, dice, gap
        self.killed: Counter[str] = Counter(SIGKILL=0, SIGTERM=0)
        self.start()

    @property
    def pid(self) -> int:
        """Number of the process that runs now."""
        assert self.process.pid is not None
        return self.process.pid

    def start(self) -> None:
        """Start it, and decide when it ends."""
        self.process = _begun(do_watch, self._folder)
        self._until = time.monotonic() + self._dice.uniform(*self._gap)

    def tick(self) -> None:
        """End it and start it again, if it is time."""
        if time.monotonic() > self._until:
            how = self._dice.choice(("SIGKILL", "SIGKILL", "SIGTERM"))
            self.end(how)
            self.killed[how] += 1
            self.start()

    def end(self, how: str) -> int | None:
        """End it; returns the exit code."""
        os.kill(self.pid, getattr(signal, how))
        self.process.join(120)
        return self.process.exitcode


def _begun(what: Callable[[Path], None], folder: Path) -> Any:
    process = SPAWN.Process(target=what, args=(folder,))
    process.start()
    return process


def soak_watch(
    folder: Path,
    *,
    samples: Samples,
    images: int,
    minutes: float,
    seed: int,
    every: float = 5.0,
    gap: tuple[float, float] = (20.0, 60.0),
) -> dict[str, Any]:
    """Let images arrive while the service is killed, then compare with an undisturbed job.

    Args:
        folder: an empty folder.
        samples: takes them.
        images: greatest number of images.
        minutes: how long images arrive.
        seed: of what arrives, and of the killer.
        every: seconds between two samples.
        gap: least and greatest time from a start of the service to its end, seconds.
    """
    began = time.monotonic()
    service = Service(folder, random.Random(seed + 1), gap=gap)
    try:
        arrived = _let_arrive(
            folder, random.Random(seed), service, samples, images=images, minutes=minutes,
            every=every,
        )  # fmt: skip
        _wait_for(folder / "out", arrived, service.process)
        samples.take(service.pid)
        code = service.end("SIGTERM")
    finally:
        service.process.kill()
    whole = _begun(do_whole, folder)
    whole.join()
    rows = jobs_fakes.rows(folder / "out")
    return {
        "arrived": arrived, "rows": len(rows), "done": len({row["image_id"] for row in rows}),
        "written": written_in(folder / "out"), "killed": dict(service.killed), "exit_code": code,
        "generations": len(list((folder / "out").glob("generations/*"))),
        "seed": seed, "seconds": time.monotonic() - began, "load": os.getloadavg()[0],
        "differences": differences(folder / "out", folder / "whole"),
    }  # fmt: skip


def _let_arrive(
    folder: Path, rng: random.Random, service: Service, samples: Samples, *, images: int,
    minutes: float, every: float,
) -> int:  # fmt: skip
    """Let images arrive for some time, and return how many."""
    drawn = [jobs_fakes.write_image(folder / f"drawn/{i}.png", seed=i, size=48) for i in range(16)]
    inbox = folder / "in"
    inbox.mkdir()
    began, arrived, sampled = time.monotonic(), 0, 0.0
    while arrived < images and time.monotonic() - began < 60 * minutes:
        for _ in range(rng.randrange(1, 6)):
            shutil.copy(rng.choice(drawn), folder / "arriving")
            (folder / "arriving").rename(inbox / f"{rng.randrange(10**9):09d}-{arrived}.png")
            arrived += 1
        time.sleep(rng.expovariate(2.0))
        service.tick()
        if time.monotonic() - sampled > every:
            samples.take(service.pid)
            sampled = time.monotonic()
    return arrived


def written_in(out: Path) -> int:
    """Number of outputs, of which the newest may have no row yet."""
    return sum(1 for _ in out.glob("images/*.png"))


def _wait_for(out: Path, images: int, process: Any) -> None:
    deadline = time.monotonic() + _LAST_S
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
