"""What it costs that names last through a power cut: jobs with and without flushes of folders.

    python benchmarks/flushing.py [--images 24] [--rounds 3] [--folder .]
        [-o benchmarks/results/flushing.json]

The shipped weights on phantoms of 1000 px, and tiny images with a network that does nothing, the
hardest case; each with all images in one folder, and with a folder for each image. With and without
alternate in one run; "without" leaves out the flushes of folders and nothing else. Time in flushes
is measured in the run with them: of the worker's thread that commits a shard.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.append(str(Path(__file__).parents[1] / "tests" / "jobs"))

import jobs_fakes
from job import make_archive

from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.run import run_job
from magenet_batch.storage import atomic, flush

Flushes = dict[str, float]


@contextmanager
def flushes(*, wanted: bool) -> Iterator[Flushes]:
    """Time the flushes of folders inside the block, or leave them out."""
    spent: Flushes = {"seconds": 0.0}
    names = ("flush_folder", "flush_below")
    real = {name: getattr(atomic, name) for name in names}

    def timed(function: Any) -> Any:
        def run(*given: Any) -> None:
            began = time.perf_counter()
            if wanted:
                function(*given)
            spent["seconds"] += time.perf_counter() - began

        return run

    for name, function in real.items():
        setattr(atomic, name, timed(function))
    inner = flush.flush_folder
    if not wanted:
        flush.flush_folder = lambda folder: None
    try:
        yield spent
    finally:
        flush.flush_folder = inner
        for name, function in real.items():
            setattr(atomic, name, function)


def spread(folder: Path) -> None:
    """Move every image into a folder of its own."""
    for path in sorted(folder.iterdir()):
        (folder / path.stem).mkdir()
        path.rename(folder / path.stem / path.name)


def one_run(archive: Path, out: Path, *, wanted: bool, fake: bool) -> tuple[float, float]:
    """Seconds of a job, and of the flushes in it."""
    options = JobOptions(archive=(str(archive),), out=str(out), workers=0, gpus=0, policy="all")
    factory = jobs_fakes.fake_factory if fake else None
    with flushes(wanted=wanted) as spent:
        began = time.perf_counter()
        run_job(options, enhancer_factory=factory)
        seconds = time.perf_counter() - began
    shutil.rmtree(out)
    return seconds, spent["seconds"]


def compare(folder: Path, *, images: int, rounds: int, fake: bool, alone: bool) -> dict[str, float]:
    """Alternate jobs with and without flushes of folders."""
    archive = folder / "in"
    make_archive(archive, images=images, size=96 if fake else 1000)
    if alone:
        spread(archive)
    one_run(archive, folder / "out", wanted=True, fake=fake)  # warm
    found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for _ in range(rounds):
        for wanted, runs in found.items():
            runs.append(one_run(archive, folder / "out", wanted=wanted, fake=fake))
    shutil.rmtree(archive)
    seconds = {w: statistics.median(s for s, _ in runs) for w, runs in found.items()}
    spent = statistics.median(s for _, s in found[True])
    return {
        "images": images, "with_per_s": images / seconds[True],
        "without_per_s": images / seconds[False], "flush_ms": 1000 * spent / images,
        "flush_share": spent / seconds[True],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    found: dict[str, Any] = {"load": os.getloadavg()[0]}
    jobs_fakes.measure_nothing()
    for network in ("nothing", "shipped weights"):
        fake = network == "nothing"
        for alone in (False, True):
            name = f"{network}, {'a folder for each image' if alone else 'one folder'}"
            with tempfile.TemporaryDirectory(dir=given.folder) as folder:
                found[name] = compare(Path(folder), images=given.images * (10 if fake else 1),
                                      rounds=given.rounds, fake=fake, alone=alone)  # fmt: skip
            print(name, found[name], flush=True)
    if given.output:
        given.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
