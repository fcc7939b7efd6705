"""CPU time of the policy's own measures on one image of 12 megapixels.

    python benchmarks/policy_cost.py [-o FILE]

One thread, the minimum of five runs: recognising the kind of image, the grade, the
visibility of vessels, and fading. Everything works on reduced copies. `apart` is what a
job did when every measure made its own copy; `together` is what it does, with one copy of each
image that all measures share.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.fading import compare_copies, measure_fading
from magenet_batch.quality.grade import assess_copy, assess_quality
from magenet_batch.quality.measures import MeasuringCopy
from magenet_batch.quality.recognition import (
    count_fields,
    is_colour,
    is_drawing,
    is_eye,
    recognise,
    reduced,
    vessels_seen,
    vessels_seen_on,
)


def least(work: Callable[[], object]) -> float:
    """CPU time of the fastest of five runs."""
    times = []
    for _ in range(5):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return round(min(times), 3)


def apart(pixels: np.ndarray, fov: FieldOfView, vessels: np.ndarray) -> None:
    """Every measure from the whole picture."""
    count_fields(reduced(pixels))
    is_drawing(pixels)
    is_eye(reduced(pixels), fov)
    is_colour(reduced(pixels), fov)
    assess_quality(pixels, fov)
    vessels_seen(pixels, fov)
    assess_quality(pixels, fov)
    measure_fading(pixels, pixels, fov, vessels=vessels)
    for _ in range(3):  # the macula's place, and its depth before and after
        MeasuringCopy.of(pixels, fov)


def together(pixels: np.ndarray, fov: FieldOfView, vessels: np.ndarray) -> None:
    """The same, as a job does it: `jobs/work/measuring.py`."""
    recognise(pixels, fov)
    copy = MeasuringCopy.of(pixels, fov)
    assess_copy(copy)
    vessels_seen_on(copy)
    first, last = (MeasuringCopy.of(pixels, fov) for _ in range(2))
    assess_copy(last)
    compare_copies(first, last, vessels=vessels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="write JSON there")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    eye = make_phantom(3, size=1000)
    pixels = np.repeat(np.repeat(eye.pixels, 4, axis=0), 4, axis=1)[:3000]
    vessels = cv2.resize(eye.vessels.astype(np.float32), (512, 512))[:384]
    fov = find_fov(pixels)
    assert fov is not None, "a phantom has a field of view"
    copy = MeasuringCopy.of(pixels, fov)
    facts = {
        "copy": least(lambda: MeasuringCopy.of(pixels, fov)),
        "recognise": least(lambda: recognise(pixels, fov)),
        "grade": least(lambda: assess_copy(MeasuringCopy(copy.rgb, copy.mask, fov))),
        "vessels_seen": least(lambda: vessels_seen_on(MeasuringCopy(copy.rgb, copy.mask, fov))),
        "fading": least(lambda: compare_copies(copy, copy, vessels=vessels)),
        "apart": least(lambda: apart(pixels, fov, vessels)),
        "together": least(lambda: together(pixels, fov, vessels)),
    }
    text = json.dumps(facts, indent=1)
    if arguments.output:
        arguments.output.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
