"""Is text in the border found, and is anything else taken for text? docs/quality.md.

    python studies/lettering.py [--data ../shared/data] [--images N]

Runs quality/lettering.py on photographs, as they are and with a word written where their border has
room for it: in two sizes, white and grey, and stored as JPEG of quality 75 afterwards. What is
found on photographs as they are is listed by name, to be looked at: it may be text. Writes
studies/results/lettering.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from magenet_batch.evaluation.images import list_images
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.imaging.read import read_image
from magenet_batch.quality.lettering import letters_outside

RESULTS = Path(__file__).parent / "results"
FOLDERS = (
    "idrid/val_clean", "idrid/real_degraded", "grape/clean", "fives/degraded", "rfmid/clean",
    "rfmid/degraded", "hrf/test-vessels", "hygd/degraded", "hygd/mixed", "lesav", "stare",
    "cataract", "drimdb/good", "drimdb/bad",
)  # fmt: skip
WORD = "DOE 1950"
HEIGHTS = {"large": 0.03, "small": 0.015}  # of the shorter side
GREYS = {"white": 235, "grey": 90}


def written(pixels: np.ndarray, fov: FieldOfView, *, share: float, grey: int) -> np.ndarray | None:
    """The picture with a word in a corner of its border; None where there is no room."""
    height, width = pixels.shape[:2]
    tall = max(9, round(share * min(height, width)))
    thick = max(1, tall // 9)
    scale = cv2.getFontScaleFromHeight(cv2.FONT_HERSHEY_SIMPLEX, tall, thick)
    (long, _), _ = cv2.getTextSize(WORD, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    mask = fov.mask(height, width)
    for x in (tall, width - long - tall):
        for y in (2 * tall, height - tall):
            around = mask[max(0, y - 2 * tall) : y + tall, max(0, x - tall) : x + long + tall]
            if x > 0 and not around.any():
                done = pixels.copy()
                cv2.putText(done, WORD, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (grey,) * 3,
                            thick, cv2.LINE_AA)  # fmt: skip
                return simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(done, quality=75))
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--images", type=int, default=20, help="of each folder; 0 for all")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"the photographs are not there: {arguments.data}; say where with --data")
    kinds = {f"{s} {g}": (HEIGHTS[s], GREYS[g]) for s in HEIGHTS for g in GREYS}
    folders: dict[str, object] = {}
    total = {"images": 0, "border": 0, "called_text": 0}
    found = {kind: {"written": 0, "found": 0} for kind in kinds}
    for folder in FOLDERS:
        paths = list_images(arguments.data / folder, limit=arguments.images)
        called = []
        total["images"] += len(paths)
        for path in paths:
            pixels = read_image(path).pixels
            fov = find_fov(pixels)
            letters = None if fov is None else letters_outside(pixels, fov)
            if fov is None or letters is None:
                continue
            total["border"] += 1
            if letters:
                called.append(path.name)
                continue
            for kind, (share, grey) in kinds.items():
                other = written(pixels, fov, share=share, grey=grey)
                if other is not None:
                    found[kind]["written"] += 1
                    found[kind]["found"] += bool(letters_outside(other, fov))
        total["called_text"] += len(called)
        folders[folder] = {"images": len(paths), "called_text": called}
        print(folder, folders[folder], found, file=sys.stderr, flush=True)
    facts = {"word": WORD, "total": total, "written": found, "folders": folders}
    (RESULTS / "lettering.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(total | found))


if __name__ == "__main__":
    main()
