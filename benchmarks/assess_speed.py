"""How fast images are assessed, and whether reduced decoding changes what is measured.

    python benchmarks/assess_speed.py ../shared/data/archive

One thread; writes benchmarks/results/assess_speed.json. A worker reads ahead in a second thread,
so that a job of two workers on two cores does about twice this rate.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import cv2

from magenet_batch.evaluation.images import list_images
from magenet_batch.imaging.fov import find_fov
from magenet_batch.imaging.read import read_image
from magenet_batch.jobs.options import Handling
from magenet_batch.jobs.plan import Task
from magenet_batch.jobs.process import ImageProcessor
from magenet_batch.quality.grade import assess_quality
from magenet_batch.schema import GRADES, QUALITY_MEASURES


def main(folder: Path) -> None:
    cv2.setNumThreads(1)
    paths = list_images(folder)
    processor = ImageProcessor(None, out=Path(tempfile.mkdtemp()), handling=Handling(assess=True))
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
        "largest_difference_to_whole_decoding": off,
    }  # fmt: skip
    text = json.dumps(facts, indent=1)
    (Path(__file__).parent / "results" / "assess_speed.json").write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
