"""How close `magenet plan` comes: the forecast from a sample, and then the whole job.

    python benchmarks/capacity.py [--images 500] [-o benchmarks/results/capacity.json]

Phantoms of three sizes, policy `all`, the machine's own choice of workers. The forecast is that of
one machine, the start included; the job follows at once, so that both see the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import cv2

from magenet_batch.jobs.capacity.forecast import Forecast
from magenet_batch.jobs.capacity.measure import measure_sample
from magenet_batch.jobs.capacity.sample import sample_of, sample_size
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.plan import make_plan
from magenet_batch.jobs.run import allocation_for, run_job
from magenet_batch.phantom import make_phantom

SIZES = (384, 512, 1024)
KINDS = 12  # different phantoms of each size; the files are copies of them


def make_archive(folder: Path, *, images: int) -> None:
    """Write phantoms: three of four images are small, as in archives of several cameras."""
    coded = {
        size: [
            cv2.imencode(".jpg", make_phantom(seed, size=size).pixels[..., ::-1])[1].tobytes()
            for seed in range(KINDS)
        ]
        for size in SIZES
    }
    for index in range(images):
        size = SIZES[(0, 1, 1, 2)[index % 4]]
        (folder / f"{index:05d}.jpg").write_bytes(coded[size][index % KINDS])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("-o", "--output", type=Path)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "archive"
        archive.mkdir()
        make_archive(archive, images=told.images)
        options = JobOptions(
            archive=(str(archive),), out=f"{folder}/out", policy="all", gpus=0
        )  # fmt: skip
        plan = make_plan(options)
        allocation = allocation_for(options, images=len(plan))
        load = os.getloadavg()[0]
        sample = sample_of(plan, images=sample_size(len(plan), workers=allocation.workers))
        measured = measure_sample(options, sample, workers=allocation.workers)
        assert measured is not None
        forecast = Forecast(
            len(plan), plan.bytes, measured, allocation.text(), None, None, plan.shards
        )
        began = time.perf_counter()
        run_job(options)
        took = time.perf_counter() - began
    found = {
        "images": told.images, "sample": measured.images, "allocation": allocation.text(),
        "forecast_seconds": forecast.seconds(1), "seconds": took,
        "ratio": forecast.seconds(1) / took, "spread": measured.spread, "load_before": load,
    }  # fmt: skip
    print(
        f"{told.images} images, {measured.images} measured, {allocation.text()}: forecast "
        f"{forecast.seconds(1):.0f} s, took {took:.0f} s, ratio {forecast.seconds(1) / took:.2f}"
    )
    if told.output:
        told.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
