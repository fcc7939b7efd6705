"""Can the degradation model reach what real bad photographs look like? Statistics side by side.

    python studies/reachable.py --clean ../shared/data/idrid/train_clean \
        --real ../shared/data/cataract ../shared/data/idrid/real_degraded

For clean images, degraded copies (preset `train`, several each) and real low-quality images: the
10th, 50th and 90th percentile of every quality measure, and the share of the real images that lies
within the range (2nd to 98th percentile) of the degraded ones. Prints Markdown; -o writes JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from magenet_batch.degradation import preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.evaluation.images import EvaluationImage, list_images, load_image
from magenet_batch.quality.measures import measure_quality
from magenet_batch.randomness import generator

SIZE = 384
MEASURES = ("sharpness", "contrast", "illumination", "colour_cast", "haze", "noise", "brightness",
            "red", "green", "blue")  # fmt: skip


def describe(pixels: np.ndarray, image: EvaluationImage) -> dict[str, float]:
    inside = pixels[image.mask].mean(0) / 255
    colours = dict(zip(("red", "green", "blue"), map(float, inside), strict=True))
    return {k: v for k, v in measure_quality(pixels, image.fov).items() if v is not None} | colours


def load(folder: Path, limit: int) -> list[EvaluationImage]:
    found = [load_image(path, size=SIZE) for path in list_images(folder, limit=limit)]
    return [image for image in found if image is not None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clean", type=Path, required=True)
    parser.add_argument("--real", type=Path, nargs="+", required=True)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--copies", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    clean = load(arguments.clean, arguments.images)
    sets = {"clean": [describe(image.pixels, image) for image in clean], "degraded": []}
    for index, image in enumerate(clean):
        for copy in range(arguments.copies):
            rng = generator(1, "reachable", index * arguments.copies + copy)
            params = sample_degradation(rng, preset("train"))
            degraded = degrade_pixels(image.pixels, params, mask=image.mask)
            sets["degraded"].append(describe(degraded, image))
    for folder in arguments.real:
        sets[folder.name] = [describe(i.pixels, i) for i in load(folder, arguments.images)]
    results: dict[str, dict[str, object]] = {}
    print("| measure | " + " | ".join(sets) + " | " +
          " | ".join(f"{f.name} reached" for f in arguments.real) + " |")  # fmt: skip
    print("| --- " * (1 + len(sets) + len(arguments.real)) + "|")
    for measure in MEASURES:
        values = {name: np.array([d[measure] for d in found]) for name, found in sets.items()}
        low, high = np.percentile(values["degraded"], [2, 98])
        spans = {k: [float(x) for x in np.percentile(v, [10, 50, 90])] for k, v in values.items()}
        reached = {
            folder.name: float(
                ((values[folder.name] >= low) & (values[folder.name] <= high)).mean()
            )
            for folder in arguments.real
        }
        cells = [" / ".join(f"{x:.2f}" for x in span) for span in spans.values()]
        shares = [f"{100 * share:.0f} %" for share in reached.values()]
        print(f"| {measure} | {' | '.join(cells)} | {' | '.join(shares)} |", flush=True)
        results[measure] = {"percentiles": spans, "reached": reached}
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
