"""Which photographs pass for those of a known camera: one line per folder.

    python studies/frames.py ../shared/data [--weights small] -o studies/results/frames.json

The frame of each photograph is compared with those that the weights know.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from magenet_batch.models.restoration.cameras import ALIKE, KnownCameras, overlap
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.weights import load_weights
from magenet_batch.training.data.config import DataConfig
from magenet_batch.training.data.images import load_training_images
from magenet_batch.training.restoration.sources import frames_of

_SIZE = 512  # side of the squares in which the field of view is found, pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a folder tree of fundus photographs")
    parser.add_argument("--weights", default="small")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    network, found = load_weights(options.weights)
    assert isinstance(network, Restorer)
    assert network.light is not None
    known = network.light.known
    assert known is not None
    folders = {p.parent.relative_to(options.data) for p in options.data.rglob("*.[jpt][pni][gf]")}
    measured = {}
    for name in sorted(str(folder) for folder in folders if folder.name != "masks"):
        alike = _overlaps(options.data, name, known)
        measured[name] = {
            "photographs": len(alike),
            "recognised": sum(one >= ALIKE for one in alike),
            "least": round(min(alike), 4),
            "median": round(float(np.median(alike)), 4),
            "most": round(max(alike), 4),
        }
        print(name, measured[name], flush=True)
    text = {"weights": found.hash, "least": ALIKE, "folders": measured}
    options.output.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")


def _overlaps(root: Path, folder: str, known: KnownCameras) -> list[float]:
    photos = load_training_images(DataConfig(root=str(root), size=_SIZE), (folder,), skip_bad=True)
    found = overlap(frames_of(photos, known.frames.shape[-1]), known.frames).amax(1)
    return [float(one) for one in found]


if __name__ == "__main__":
    main()
