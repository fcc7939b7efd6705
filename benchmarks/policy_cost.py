"""CPU time of the policy's own measures on one image of 12 megapixels.

    python benchmarks/policy_cost.py [-o FILE]

One thread, the minimum of five runs: recognising the kind of image, the visibility of vessels, and
fading. Everything works on reduced copies.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from magenet_batch.imaging.fov import find_fov
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.fading import measure_fading
from magenet_batch.quality.recognition import recognise, vessels_seen


def least(work: Callable[[], object]) -> float:
    """CPU time of the fastest of five runs."""
    times = []
    for _ in range(5):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return round(min(times), 3)


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
    facts = {
        "recognise": least(lambda: recognise(pixels, fov)),
        "vessels_seen": least(lambda: vessels_seen(pixels, fov)),
        "fading": least(lambda: measure_fading(pixels, pixels, fov, vessels=vessels)),
    }
    text = json.dumps(facts, indent=1)
    if arguments.output:
        arguments.output.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
