"""Where the error of an enhanced image lies: in its mean colour, or in ever finer detail.

    python studies/bands.py [--weights small] [--images 62] [--size 256]

Degraded copies of idrid/val_clean, as in training's validation. The difference to the clean image
is split, inside the field of view, into its mean per channel, what remains in 4 x 4, 16 x 16
and 64 x 64 averages, and the rest; the parts are nearly orthogonal. For each: its share of the
squared error, and the PSNR if all parts up to it were right. Compared with giving every image the
mean colour of the training images, which needs no network. Writes studies/results/bands.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.degradation.sample import preset, sample_degradation
from magenet_batch.models.affine import Window
from magenet_batch.models.weights import load_weights
from magenet_batch.randomness import generator
from magenet_batch.training.data.images import TrainingImages, load_training_images
from magenet_batch.training.recipes.load import load_recipe

RESULTS = Path(__file__).parent / "results"
GRIDS = (4, 16, 64)
BANDS = ("mean colour", *(f"{k} x {k}" for k in GRIDS), "rest")


def sized(photos: TrainingImages, size: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, 3, S, S) and masks (N, 1, S, S)."""
    images = photos.images[:count].float() / 255
    masks = photos.masks[:count].float()
    mask = (F.interpolate(masks, size=(size, size), mode="area") > 0.99).float()
    return F.interpolate(images, size=(size, size), mode="area"), mask


def mean_colour(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(N, 3, 1, 1)."""
    return (x * mask).sum((2, 3), keepdim=True) / mask.sum((2, 3), keepdim=True)


def squared(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean square inside the mask, (N,)."""
    return (x.square() * mask).sum((1, 2, 3)) / (3 * mask.sum((1, 2, 3)))


def bands(difference: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Squared error per band, (bands, N)."""
    size = difference.shape[-2:]

    def enlarged(x: torch.Tensor, grid: int) -> torch.Tensor:
        return F.interpolate(F.adaptive_avg_pool2d(x, grid), size=size, mode="bilinear")

    mean = mean_colour(difference, mask)
    found, rest = [squared(mean.expand_as(difference), mask)], difference - mean
    for grid in GRIDS:
        coarse = enlarged(rest * mask, grid) / enlarged(mask, grid).clamp_min(1e-3)
        found.append(squared(coarse, mask))
        rest = rest - coarse
    return torch.stack([*found, squared(rest, mask)])


def described(x: torch.Tensor, clean: torch.Tensor, mask: torch.Tensor) -> dict[str, object]:
    """PSNR, share of each band, and PSNR if the bands up to it were right."""
    error, parts = squared(x - clean, mask), bands(x - clean, mask)
    share = parts.mean(1) / parts.mean(1).sum()
    right = [float(-10 * parts[k:].sum(0).log10().mean()) for k in range(1, len(BANDS))]
    return {
        "psnr": float(-10 * error.log10().mean()),
        "share": dict(zip(BANDS, share.tolist(), strict=True)),
        "psnr_if_right_up_to": dict(zip(BANDS, right, strict=False)),
    }


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", default="small")
    parser.add_argument("--images", type=int, default=62)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--result", type=Path, default=RESULTS / "bands.json")
    told = parser.parse_args()
    if not told.data.is_dir():
        sys.exit(f"the photographs are not there: {told.data}; say where with --data")
    data = load_recipe("affine", changes=[f"data.root={told.data}"]).data
    clean, mask = sized(load_training_images(data, data.validation), told.size, told.images)
    usual = mean_colour(*sized(load_training_images(data, data.clean), 64, 10_000)).mean(0)
    network, info = load_weights(told.weights)
    found: dict[str, dict[str, object]] = {}
    for name in ("evaluation", "mild"):
        params = [
            sample_degradation(generator(0, "validation", i), preset(name))
            for i in range(len(clean))
        ]
        degraded = apply_degradation(clean, params, mask_B1HW=mask)
        whole = Window.whole(told.size, told.size)
        enhanced = torch.cat([
            network.refine(x, network.context(x), window=whole, height=told.size, width=told.size)
            for x in degraded.split(4)
        ]).clamp(0, 1)  # fmt: skip
        shifted = degraded + usual - mean_colour(degraded, mask)
        methods = {"identity": degraded, "usual mean colour": shifted, "magenet": enhanced}
        found[name] = {m: described(x, clean, mask) for m, x in methods.items()}
        for method, numbers in found[name].items():
            print(name, method, json.dumps(numbers), flush=True)
    result = {"weights": info.name, "hash": info.hash, "images": len(clean), "presets": found}
    told.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
