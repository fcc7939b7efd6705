"""What the spots stage finds, with and without evidence: docs/benchmarks.md.

    python studies/dust.py ../shared/data -o studies/results/dust.json

Spots are drawn into sharp photographs, and the error that is left is measured. In photographs as
they are, spots are counted that the network suspects, and those that it takes away.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from magenet_batch.degradation import preset, sample_degradation
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.models.restoration.network import Restorer, Squares
from magenet_batch.models.restoration.spots import SpotsStage
from magenet_batch.models.weights import load_weights
from magenet_batch.randomness import generator
from magenet_batch.training.data.config import DataConfig
from magenet_batch.training.data.images import load_training_images

_SIZE = 512  # side of the squares around the fields of view, pixels
_SEEN = 0.02  # change of light that counts as part of a spot
_SHARE = 0.5  # share of it that must be taken away
_DRAWN = ("idrid/val_clean", "lesav")
_REAL = (
    "idrid/val_clean", "idrid/lesions_test/images", "idrid/real_degraded", "hrf/test-vessels",
    "lesav", "cataract/images", "hygd/degraded", "drimdb/good",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a folder tree of fundus photographs")
    parser.add_argument("--weights", default="small")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    network, info = load_weights(options.weights)
    assert isinstance(network, Restorer)
    assert network.spots is not None
    drawn = {name: _drawn(network.spots, options.data, name) for name in _DRAWN}
    real = {name: _real(network.spots, options.data, name) for name in _REAL}
    text = {"weights": info.name, "hash": info.hash, "drawn": drawn, "real": real}
    print(json.dumps(text, indent=1))
    options.output.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")


@torch.inference_mode()
def _drawn(stage: SpotsStage, root: Path, folder: str) -> dict[str, float]:
    """Mean decibels gained over doing nothing, and lost on the same images without spots."""
    rows = []
    for index, (clean, mask) in enumerate(_photographs(root, folder)):
        how = sample_degradation(generator(1, "dust", index), preset("evaluation").only("spots"))
        seen = apply_degradation(clean, [how], mask_B1HW=mask).clamp(0, 1) * mask
        [x, y] = (Squares.of(z, mask, sizes=(128,), least=0.98)[0] for z in (seen, clean))
        suspected, found = stage.suspected(*x), stage.found(*x)

        def psnr(apart: torch.Tensor, inside: torch.Tensor = x.mask) -> float:
            error = (apart.square() * inside).sum() / (3 * inside.sum())
            return float(-10 * torch.log10(error + 1e-6))

        before = psnr(x.pixels - y.pixels)
        rows.append((
            psnr(x.pixels - suspected - y.pixels) - before,
            psnr(x.pixels - found - y.pixels) - before,
            float(stage.found(*y).abs().max()),
        ))  # fmt: skip
    alone, gained, clean_most = np.array(rows).T
    return {
        "photographs": len(rows),
        "network alone, dB": round(float(alone.mean()), 2),
        "with evidence, dB": round(float(gained.mean()), 2),
        "with evidence, worst dB": round(float(gained.min()), 2),
        "clean, largest change": round(float(clean_most.max()), 4),
    }


@torch.inference_mode()
def _real(stage: SpotsStage, root: Path, folder: str) -> dict[str, int]:
    """Spots that are suspected and taken away, and the photographs that have any."""
    counts = [
        _counted(stage.suspected(*x), stage.found(*x))
        for x in (
            Squares.of(image, mask, sizes=(128,), least=0.98)[0]
            for image, mask in _photographs(root, folder)
        )
    ]
    suspected, taken = np.array(counts).T
    return {
        "photographs": len(counts),
        "suspected": int(suspected.sum()),
        "in photographs": int((suspected > 0).sum()),
        "taken away": int(taken.sum()),
        "from photographs": int((taken > 0).sum()),
    }


def _counted(suspected: torch.Tensor, found: torch.Tensor) -> tuple[int, int]:
    before, after = (t.abs().amax((0, 1)).numpy() for t in (suspected, found))
    labels, count = ndimage.label(before > _SEEN)
    several = range(1, count + 1)
    most = np.array(ndimage.maximum(before, labels, several))
    left = np.array(ndimage.maximum(after, labels, several))
    return count, int((left >= _SHARE * most).sum()) if count else 0


def _photographs(root: Path, folder: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    photos = load_training_images(DataConfig(root=str(root), size=_SIZE), (folder,), skip_bad=True)
    for image, inside in zip(photos.images, photos.masks, strict=True):
        mask = inside[None].float()
        yield image[None].float() / 255 * mask, mask


if __name__ == "__main__":
    main()
