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

from magenet_batch.jobs.capacity.forecast import make_forecast
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.run import run_job
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
        load = os.getloadavg()[0]
        forecast = make_forecast(options)
        assert forecast is not None
        began = time.perf_counter()
        run_job(options)
        took = time.perf_counter() - began
    sample, said = forecast.measured, forecast.seconds(1)
    found = {
        "images": told.images, "sample": sample.images, "allocation": forecast.allocation,
        "forecast_seconds": said, "seconds": took, "ratio": said / took, "spread": sample.spread,
        "load_before": load,
    }  # fmt: skip
    print(
        f"{told.images} images, {sample.images} measured, {forecast.allocation}: "
        f"forecast {said:.0f} s, took {took:.0f} s, ratio {said / took:.2f}"
    )
    if told.output:
        told.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
