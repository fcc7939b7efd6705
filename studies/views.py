"""What looking at the light in several mirrored views is worth: docs/benchmarks.md.

    python studies/views.py [--weights small] [--data ../shared/data] [--images 62]

Measures `light.views` of 1, 2 and 4 on photographs that no training saw, of a camera that training
knows and of one that it does not: PSNR over doing nothing, with each channel's gain aligned, and
PSNR of clean photographs; and the time that the light of one image takes. Writes
studies/results/views.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from magenet_batch.evaluation.compare import compare_aligned
from magenet_batch.evaluation.images import EvaluationImage, list_images, load_image
from magenet_batch.evaluation.run import Evaluation
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.models.catalog import WeightsFile
from magenet_batch.models.memory import keep_freed_memory
from magenet_batch.models.restoration.light import LightStage
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.weights import load_weights

RESULTS = Path(__file__).parent / "results"
VIEWS = (1, 2, 4)
FOLDERS = {"known": "idrid/val_clean", "unseen": "lesav"}
PRESETS = ("evaluation", "mild", "clean")


def looking(weights: str, views: int) -> tuple[Restorer, WeightsFile]:
    """The weights with another number of views."""
    network, info = load_weights(weights)
    assert isinstance(network, Restorer)
    assert network.light is not None
    network.light.config = network.light.config.model_copy(update={"views": views})
    return network, info


def scores(preds: list[np.ndarray], images: list[EvaluationImage], measure: str) -> np.ndarray:
    pairs = zip(preds, images, strict=True)
    return np.array([compare_aligned(pixels, image)[measure] for pixels, image in pairs])


def seconds_of(stage: LightStage) -> float:
    """Median time of the light of one image, of many."""
    x = torch.rand(1, 3, stage.size, stage.size, generator=torch.Generator().manual_seed(1))
    mask, taken = torch.ones(1, 1, stage.size, stage.size), []
    with torch.inference_mode():
        for _ in range(60):
            start = time.perf_counter()
            stage(x, mask, views=stage.config.views)
            taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="small")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--images", type=int, default=62)
    told = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    cpu = torch.device("cpu")
    ours = {views: Enhancer(*looking(told.weights, views), device=cpu) for views in VIEWS}
    run = Evaluation({}, seed=23, images=told.images, size=512, say=lambda text: None)
    rows = {views: {"views": float(views)} for views in VIEWS}
    for word, folder in FOLDERS.items():
        paths = list_images(told.data / folder, limit=told.images)
        images = [image for path in paths if (image := load_image(path, size=512)) is not None]
        for name in PRESETS:
            seen = [run.degraded(image, name, i, "views") for i, image in enumerate(images)]
            measure, before = "psnr", np.zeros(len(images))
            if name != "clean":
                measure, before = "psnr_aligned", scores(seen, images, "psnr_aligned")
            for views, one in ours.items():
                pairs = zip(seen, images, strict=True)
                after = [one.enhance(pixels, image.fov).pixels for pixels, image in pairs]
                gained = scores(after, images, measure) - before
                rows[views][f"{word}, {name}"] = float(gained.mean())
    for views, row in rows.items():
        row["milliseconds"] = 1000 * seconds_of(looking(told.weights, views)[0].light)
    print(" | ".join(rows[1]))
    for row in rows.values():
        print(" | ".join(f"{value:.3f}" for value in row.values()))
    name = load_weights(told.weights)[1].name
    found = {"weights": name, "images": told.images, "rows": list(rows.values())}
    (RESULTS / "views.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
