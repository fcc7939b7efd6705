"""Pack training images into a small folder, for a GPU machine that cannot access the originals.

    python tools/pack_images.py recipes/default.toml packed --size 640

Every folder that the recipe names is copied, with its masks, at a reduced size: the longest side at
most --size pixels (JPEG quality 92, 4:4:4; masks PNG). --only takes some of these folders, so that
real images, which serve the light stage alone, can be smaller. Train there with
--set data.root=packed. Prints the size of the result.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from magenet_batch.evaluation.images import list_images, masks_of, resized
from magenet_batch.imaging.read import read_image
from magenet_batch.training.recipes.load import load_recipe

_KEYS = ("clean", "real", "vessels", "validation")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("target", type=Path)
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--quality", type=int, default=92)
    parser.add_argument("--only", nargs="+", choices=list(_KEYS), default=list(_KEYS))
    arguments = parser.parse_args()
    data = load_recipe(arguments.recipe).data
    folders = dict.fromkeys(f for key in arguments.only for f in getattr(data, key))
    how = [
        cv2.IMWRITE_JPEG_QUALITY, arguments.quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]  # fmt: skip
    total = count = 0
    for folder in folders:
        for path in list_images(Path(data.root) / folder):
            name = path.relative_to(Path(data.root))
            if f"{folder}/{path.name}" in data.exclude:
                continue
            small = resized(read_image(path).pixels, size=arguments.size)
            written = arguments.target / name.with_suffix(".jpg")
            written.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(written), cv2.cvtColor(small, cv2.COLOR_RGB2BGR), how)
            count, total = count + 1, total + written.stat().st_size
            for _, mask in masks_of(path) if folder in data.vessels else ():
                drawn = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
                into = arguments.target / mask.relative_to(Path(data.root))
                into.parent.mkdir(parents=True, exist_ok=True)
                size = small.shape[1::-1]
                cv2.imwrite(str(into), cv2.resize(drawn, size, interpolation=cv2.INTER_AREA))
                total += into.stat().st_size
    print(f"{count} images, {total / 2**20:.1f} MiB, in {arguments.target}")


if __name__ == "__main__":
    main()
