"""Draws the contact sheet of all degradations on a phantom: docs/images/degradations.jpg.

    python studies/degradations.py [-o FILE]

One row per kind alone and one of everything together, from light to severe, left to right; the
first picture of a row is clean.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from magenet_batch.degradation import KINDS, preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.imaging.fov import find_fov
from magenet_batch.phantom import make_phantom

SIZE, COLUMNS = 176, 6


def row(name: str, clean: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Clean, then ever more severe."""
    pictures = [clean]
    for column in range(COLUMNS - 1):
        severity = 0.15 + 0.85 * column / (COLUMNS - 2)
        how = replace(preset(name), severity=(severity, severity))
        params = sample_degradation(np.random.default_rng([7, column, len(name)]), how)
        pictures.append(degrade_pixels(clean, params, mask=mask))
    label = np.zeros((SIZE, 90, 3), np.uint8)
    text = name.partition(":")[2] or "all kinds"
    cv2.putText(label, text, (6, SIZE // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (230,) * 3, 1,
                cv2.LINE_AA)  # fmt: skip
    small = [cv2.resize(p, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for p in pictures]
    return np.concatenate([label, *small], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/images/degradations.jpg"))
    output = parser.parse_args().output
    phantom = make_phantom(11, size=512)
    fov = find_fov(phantom.pixels)
    assert fov is not None
    mask = fov.mask(512, 512)
    names = [*(f"evaluation:{kind}" for kind in KINDS), "evaluation"]
    sheet = np.concatenate([row(name, phantom.pixels, mask) for name in names])
    output.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(output), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(output)


if __name__ == "__main__":
    main()
