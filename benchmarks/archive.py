"""The archive job on untouched originals: seconds per image and per megapixel of one worker.

    python benchmarks/archive.py ../shared/data/archive [-o benchmarks/results/archive.json]

Runs `magenet enhance` on a folder of camera originals with a temporary output folder, and prints
the rate and the share of each step according to the rows.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import pyarrow.dataset as ds

from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.run import run_job

STEPS = ("read_s", "enhance_s", "measure_s", "write_s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=int)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as out:
        options = JobOptions(
            archive=(str(arguments.archive),), out=f"{out}/out", workers=arguments.workers, gpus=0,
            limit=arguments.limit, policy="all",
        )  # fmt: skip
        start = time.perf_counter()
        summary = run_job(options)
        seconds = time.perf_counter() - start
        columns = ["width", "height", *STEPS]
        rows = ds.dataset(f"{out}/out/rows").to_table(columns=columns).to_pylist()
    megapixels = sum(r["width"] * r["height"] for r in rows) / 1e6
    work = {step: sum(r[step] or 0.0 for r in rows) / megapixels for step in STEPS}
    found = {
        "images": summary.counts.images, "megapixels": megapixels, "workers": arguments.workers,
        "seconds": seconds, "seconds_per_image": seconds / len(rows),
        "worker_seconds_per_megapixel": seconds * max(1, arguments.workers) / megapixels,
        "step_seconds_per_megapixel": work,
    }  # fmt: skip
    print(f"{found['images']} images, {megapixels:.0f} megapixels, {arguments.workers} workers: "
          f"{seconds:.0f} s with start-up")  # fmt: skip
    print("\n| step | worker seconds per megapixel |\n| --- | --- |")
    for step, value in work.items():
        print(f"| {step.removesuffix('_s')} | {value:.3f} |")
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
