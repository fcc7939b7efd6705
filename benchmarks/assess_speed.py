"""The speed of assessing images, and whether reduced decoding changes the measures.

    python benchmarks/assess_speed.py ../shared/data/archive

First one thread, image by image; then the job with two workers over links to the same images, with
the rate from the first finished image to the last. Writes benchmarks/results/assess_speed.json.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import cv2
from job import Clock

from magenet_batch.evaluation.images import list_images
from magenet_batch.imaging.fov import find_fov
from magenet_batch.imaging.read import read_image
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.plan import Task
from magenet_batch.jobs.run import run_job
from magenet_batch.jobs.work.process import ImageProcessor
from magenet_batch.quality.grade import assess_quality
from magenet_batch.records.schema import QUALITY_MEASURES
from magenet_batch.records.vocabulary import GRADES

JOB_IMAGES = 160


def job_rate(paths: list[Path], *, workers: int) -> float:
    """Steady rate of `magenet assess`, in images per second."""
    with tempfile.TemporaryDirectory() as name:
        archive, clock = Path(name) / "in", Clock()
        archive.mkdir()
        for index in range(JOB_IMAGES):
            path = paths[index % len(paths)]
            (archive / f"{index:04d}{path.suffix}").symlink_to(path.resolve())
        options = JobOptions(
            archive=(str(archive),), out=f"{name}/out", workers=workers, gpus=0, assess=True
        )
        run_job(options, progress=clock)
        return clock.rate


def main(folder: Path) -> None:
    cv2.setNumThreads(1)
    paths = list_images(folder)
    processor = ImageProcessor(
        None,
        out=Path(tempfile.mkdtemp()),
        image_options=JobOptions(archive=("none",), assess=True).image_options,
    )
    tasks = [Task(p.name, str(p), f"images/{p.name}") for p in paths]
    processor.process(tasks[0])  # loads the grader
    wall, cpu = time.perf_counter(), time.process_time()
    rows = [processor.process(task) for task in tasks]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    off: dict[str, float] = {}
    for row, path in list(zip(rows, paths, strict=True))[::5]:
        pixels = read_image(path).pixels
        fov = find_fov(pixels)
        whole = {} if fov is None else assess_quality(pixels, fov)
        for name in (*QUALITY_MEASURES, *GRADES):
            if whole and row[f"{name}_before"] is not None:
                gap = abs(row[f"{name}_before"] - whole[name])
                off[name] = round(max(off.get(name, 0.0), gap), 4)
    facts = {
        "images": len(rows),
        "megapixels": sum(r["width"] * r["height"] for r in rows) / 1e6 / len(rows),
        "wall_s_per_image": wall / len(rows), "cpu_s_per_image": cpu / len(rows),
        "job": {"images": JOB_IMAGES, "workers": 2, "images_per_s": job_rate(paths, workers=2)},
        "largest_difference_to_whole_decoding": off,
    }  # fmt: skip
    text = json.dumps(facts, indent=1)
    (Path(__file__).parent / "results" / "assess_speed.json").write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
