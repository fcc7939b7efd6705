"""Draw the picture of the README: real photographs as they came, restored, and with the look clear.

    python studies/before_after.py docs/images/before_after.jpg

Photographs of IDRiD (Porwal et al., Data 2018, CC BY 4.0): two hazy ones, and a soft one, whose
vessels get back the contrast that scattered light took.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from magenet_batch.evaluation.images import load_image
from magenet_batch.inference.enhancer import Enhancer

WIDTH = 400
NAMES = ("214.jpg", "227.jpg", "216.jpg")
DATA = Path(__file__).parents[2] / "shared" / "data" / "idrid" / "real_degraded"


def main(path: Path) -> None:
    if not DATA.is_dir():
        sys.exit(f"there are no photographs in {DATA}: put IDRiD's there")
    looks = [Enhancer.load(device="cpu", look=look) for look in ("natural", "clear")]
    rows = []
    for name in NAMES:
        image = load_image(DATA / name, size=2 * WIDTH)
        if image is None:
            sys.exit(f"{DATA / name} has no field of view: choose another photograph")
        made = [enhancer.enhance(image.pixels, image.fov).pixels for enhancer in looks]
        row = np.concatenate([image.pixels, *made], axis=1)
        size = (WIDTH * 3, round(row.shape[0] * WIDTH * 3 / row.shape[1]))
        rows.append(cv2.resize(row, size, interpolation=cv2.INTER_AREA))
    picture = np.concatenate(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
