"""Which photographs have the frame of a known camera: docs/benchmarks.md.

    python studies/frames.py ../shared/data -o studies/results/frames.json

The frame that most photographs of a folder share is compared with those of all photographs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from magenet_batch.models.restoration.cameras import ALIKE, frames_among, likeness
from magenet_batch.training.data.config import DataConfig
from magenet_batch.training.data.images import TrainingImages, load_training_images
from magenet_batch.training.restoration.sources import frames_of

_SIZE = 512  # side of the squares around the fields of view, pixels
_FRAME = 128  # side of the frames, pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a folder tree of fundus photographs")
    parser.add_argument("--known", default="idrid/train_clean", help="folder of the known camera")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    photos = _photographs(options.data, options.known)
    known, _ = frames_among(frames_of(photos, _FRAME), cameras=1, least=1)
    folders = {p.parent.relative_to(options.data) for p in options.data.rglob("*.[jpt][pni][gf]")}
    measured = {}
    for name in sorted(str(folder) for folder in folders if folder.name != "masks"):
        frames = frames_of(_photographs(options.data, name), _FRAME)
        alike = [float(one) for one in likeness(frames, known)]
        measured[name] = {
            "photographs": len(alike),
            "recognised": sum(one >= ALIKE for one in alike),
            "least": round(min(alike), 4),
            "median": round(float(np.median(alike)), 4),
            "most": round(max(alike), 4),
        }
        print(name, measured[name], flush=True)
    text = {"known": options.known, "least": ALIKE, "folders": measured}
    options.output.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")


def _photographs(root: Path, folder: str) -> TrainingImages:
    return load_training_images(DataConfig(root=str(root), size=_SIZE), (folder,), skip_bad=True)


if __name__ == "__main__":
    main()
