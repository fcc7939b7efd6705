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

from magenet_batch.degradation import preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.evaluation.images import list_images, load_image
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.models.memory import keep_freed_memory
from magenet_batch.models.restoration.light import LightStage, least_squares_gains
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.weights import load_weights
from magenet_batch.randomness import generator

RESULTS = Path(__file__).parent / "results"
VIEWS = (1, 2, 4)
FOLDERS = {"known": "idrid/val_clean", "unseen": "lesav"}
PRESETS = ("evaluation", "mild", "clean")
_BEST = 60.0  # decibel that stand for "equal"


def light_of(network: object) -> LightStage:
    assert isinstance(network, Restorer)
    assert network.light is not None
    return network.light


def enhancers(weights: str) -> dict[int, Enhancer]:
    """The weights with each number of views."""
    found = {}
    for views in VIEWS:
        network, info = load_weights(weights)
        light = light_of(network)
        light.config = light.config.model_copy(update={"views": views})
        found[views] = Enhancer(network, info, device=torch.device("cpu"))
    return found


def decibels(pixels: np.ndarray, clean: np.ndarray, mask: np.ndarray, *, align: bool) -> float:
    """PSNR inside the field of view, at most 60 dB."""
    ours, wanted = (
        torch.from_numpy(p[mask].T.astype(np.float32) / 255)[None, ..., None]
        for p in (pixels, clean)
    )
    if align:
        ours = ours * least_squares_gains(ours, wanted).clamp(0.2, 5)
    error = float((ours - wanted).square().mean())
    return min(_BEST, -10 * float(np.log10(error + 1e-12)))


def seconds_of(stage: LightStage) -> float:
    """Median time of the light of one faulty image, of many."""
    x = torch.rand(1, 3, stage.size, stage.size, generator=torch.Generator().manual_seed(1))
    mask, taken = torch.ones(1, 1, stage.size, stage.size), []
    with torch.inference_mode():
        for _ in range(60):
            start = time.perf_counter()
            fields = stage.looked(x, mask, None)
            taken.append(time.perf_counter() - start)
    assert float(fields.degraded) > 0, "the other views are not looked at"
    return float(np.median(taken))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="small")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--images", type=int, default=62)
    told = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    ours = enhancers(told.weights)
    rows = {views: {"views": float(views)} for views in VIEWS}
    for word, folder in FOLDERS.items():
        loaded = [
            load_image(path, size=512)
            for path in list_images(told.data / folder, limit=told.images)
        ]
        for name in PRESETS:
            gained: dict[int, list[float]] = {views: [] for views in VIEWS}
            for index, image in enumerate(loaded):
                if image is None:
                    continue
                clean, mask, align = image.pixels, image.mask, name != "clean"
                seen = clean
                if align:
                    drawn = sample_degradation(generator(23, name, index), preset(name))
                    seen = degrade_pixels(clean, drawn, mask=mask)
                before = decibels(seen, clean, mask, align=align) if align else 0.0
                for views, enhancer in ours.items():
                    after = enhancer.enhance(seen, image.fov).pixels
                    gained[views].append(decibels(after, clean, mask, align=align) - before)
            for views, values in gained.items():
                rows[views][f"{word}, {name}"] = float(np.mean(values))
    for views, row in rows.items():
        light = light_of(load_weights(told.weights)[0])
        light.config = light.config.model_copy(update={"views": views})
        torch.nn.init.constant_(light.believe[-1].bias, 9.0)  # type: ignore[arg-type]
        row["milliseconds"] = 1000 * seconds_of(light)
    print(" | ".join(rows[1]))
    for row in rows.values():
        print(" | ".join(f"{value:.3f}" for value in row.values()))
    name = load_weights(told.weights)[1].name
    found = {"weights": name, "images": told.images, "rows": list(rows.values())}
    (RESULTS / "views.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
