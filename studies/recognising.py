"""Is any photograph taken for something else? docs/quality.md.

    python studies/recognising.py [--data ../shared/data] [--images N]

Runs every recogniser of quality/recognition.py on every photograph of every folder of the data. On
photographs none should answer: the share of those that are taken for no fundus, for grey, or for
several fields is to be at most 0.5 percent. A surface without vessels is another matter: such
frames are in the folders of bad photographs, and are listed by name. Writes
studies/results/recognising.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from magenet_batch.evaluation.images import list_images
from magenet_batch.imaging.fov import find_fov
from magenet_batch.imaging.read import read_image
from magenet_batch.quality.limits import LEAST_SEEN
from magenet_batch.quality.recognition import (
    count_fields,
    is_colour,
    is_drawing,
    is_eye,
    reduced,
    vessels_seen,
)

RESULTS = Path(__file__).parent / "results"
FOLDERS = (
    "idrid/train_clean", "idrid/val_clean", "idrid/real_degraded", "idrid/lesions_test",
    "grape/clean", "fives/train-vessels", "fives/degraded", "rfmid/clean", "rfmid/degraded",
    "skimage/clean", "hrf/train-vessels", "hrf/test-vessels", "hygd/degraded", "hygd/mixed",
    "lesav", "stare", "cataract", "drimdb/good", "drimdb/bad", "archive",
)  # fmt: skip


def recognised(path: Path) -> dict[str, object]:
    """What a photograph is taken for, and how well vessels are seen on it."""
    pixels = read_image(path).pixels
    small = reduced(pixels)
    found: dict[str, object] = {
        "several_fields": count_fields(small) > 1, "not_fundus": is_drawing(pixels)
    }  # fmt: skip
    fov = find_fov(pixels)
    found["no_fov"] = fov is None
    if fov is None:
        return found
    found["not_fundus"] = bool(found["not_fundus"]) or is_eye(small, fov)
    found["not_colour"] = not is_colour(small, fov)
    seen = vessels_seen(pixels, fov)
    found["seen"] = None if seen is None else round(seen, 3)
    found["hopeless"] = seen is not None and seen < LEAST_SEEN
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--images", type=int, default=0, help="of each folder; 0 for all")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"the photographs are not there: {arguments.data}; say where with --data")
    kinds = ("several_fields", "not_fundus", "not_colour", "hopeless", "no_fov")
    folders: dict[str, object] = {}
    total = dict.fromkeys(("images", *kinds), 0)
    for folder in FOLDERS:
        rows = {
            path.name: recognised(path)
            for path in list_images(arguments.data / folder, limit=arguments.images)
        }
        named = {k: sorted(name for name, row in rows.items() if row.get(k)) for k in kinds}
        folders[folder] = {"images": len(rows)} | {k: names for k, names in named.items() if names}
        total["images"] += len(rows)
        for kind in kinds:
            total[kind] += len(named[kind])
        print(folder, folders[folder], file=sys.stderr, flush=True)
    facts = {"limit": LEAST_SEEN, "total": total, "folders": folders}
    (RESULTS / "recognising.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(total))


if __name__ == "__main__":
    main()
