"""Appending to a job of a million images: time until the first new image, and the driver's memory.

    python benchmarks/append.py [--rows 1000000] [--new 1000] [--folder REUSED]
        [-o benchmarks/results/append.json]

Makes an archive and a finished job on it (`million.py`), adds new images to all folders of the
archive, and appends in a separate process that is stopped at its first image.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from million import FOLDERS, compare_first_image, parser_of, until_first_image


def add_images(folder: Path, *, count: int) -> dict[str, float]:
    """Add images that no earlier append has seen."""
    for index in range(count):
        site = folder / "in" / f"site_{index % FOLDERS:02d}"
        os.link(site / "0000000.jpg", site / f"new_{time.time_ns()}.jpg")
    return {"new": count}


def append(folder: Path) -> dict[str, float]:
    """Append until the first image."""
    _, summary, figures = until_first_image(folder, append=True)
    return {"images": summary.images, "before": summary.before} | figures


if __name__ == "__main__":
    parser = parser_of(__doc__)
    parser.add_argument("--new", type=int, default=1_000)
    arguments = parser.parse_args()
    compare_first_image(
        arguments, left=0, measure=append,
        prepare=lambda folder: add_images(folder, count=arguments.new),
    )  # fmt: skip
