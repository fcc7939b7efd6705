"""Draw the picture of the README: phantoms, degraded and enhanced.

    python studies/before_after.py docs/images/before_after.jpg

Only synthetic images are drawn, because photographs of patients stay out of the repository.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from magenet_batch.degradation import preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.imaging.fov import find_fov
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.phantom import make_phantom
from magenet_batch.randomness import generator

SIZE = 360
SEEDS = (3, 8, 21, 34)


def main(path: Path) -> None:
    enhancer = Enhancer.load()
    columns = []
    for seed in SEEDS:
        phantom = make_phantom(seed, size=2 * SIZE)
        params = sample_degradation(generator(seed, "picture", 0), preset("evaluation"))
        degraded = degrade_pixels(phantom.pixels, params, mask=phantom.fov)
        fov = find_fov(degraded)
        enhanced = degraded if fov is None else enhancer.enhance(degraded, fov).pixels
        columns.append(np.concatenate([degraded, enhanced, phantom.pixels]))
    picture = np.concatenate(columns, axis=1)
    size = (SIZE * len(SEEDS), SIZE * 3)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
