"""How often, and how fast, the field of view is found: one line per folder of images.

    python studies/fov.py DATA [--sheet sheets/]

A picture of every image with its field of view drawn in can be written, to be looked at: a circle
that was found is not yet the right one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from magenet_batch.errors import ImageError
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.imaging.read import read_image

_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"}
_TILE = 160  # pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a folder tree of fundus photographs")
    parser.add_argument("--sheet", type=Path, help="write contact sheets to this folder")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in sorted(options.data.rglob("*")):
        if path.suffix.lower() in _SUFFIXES and path.parent.name != "masks":
            folders[path.parent].append(path)
    print(f"{os.cpu_count()} cores, one thread used")
    print(f"{'folder':32s} {'found':>9s} {'coverage':>9s} {'ms median':>10s} {'ms max':>7s}")
    for folder, paths in folders.items():
        line, tiles = _one_folder(paths)
        name = folder.relative_to(options.data)
        print(f"{name!s:32s} {line}", flush=True)
        if options.sheet is not None:
            options.sheet.mkdir(parents=True, exist_ok=True)
            _write_sheet(options.sheet / f"{'-'.join(name.parts) or 'images'}.png", tiles)


def _one_folder(paths: list[Path]) -> tuple[str, list[np.ndarray]]:
    """The line of the table without the folder's name, and one picture per image."""
    times, coverages, tiles, found = [], [], [], 0
    for path in paths:
        try:
            pixels = read_image(path).pixels
        except ImageError as error:
            print(f"{path}: {error.reason}: {error}")
            continue
        start = time.perf_counter()
        fov = find_fov(pixels)
        times.append(1e3 * (time.perf_counter() - start))
        tiles.append(_tile(pixels, fov))
        if fov is not None:
            found += 1
            coverages.append(fov.coverage)
    if not times:
        return f"{0:>4d}/{len(paths):<4d}", tiles
    coverage = f"{statistics.median(coverages):.2f}" if coverages else ""
    middle, longest = statistics.median(times), max(times)
    return f"{found:>4d}/{len(paths):<4d} {coverage:>9s} {middle:>10.1f} {longest:>7.1f}", tiles


def _tile(pixels: np.ndarray, fov: FieldOfView | None) -> np.ndarray:
    """A small picture, padded, with the outline of its field of view, or a cross where none is."""
    height, width = pixels.shape[:2]
    factor = (_TILE - 4) / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    if small.dtype == np.uint16:
        small = (small >> 8).astype(np.uint8)
    small = np.ascontiguousarray(small[..., ::-1])
    if fov is None:
        cv2.line(small, (0, 0), (size[0] - 1, size[1] - 1), (255, 0, 255), 2)
        cv2.line(small, (size[0] - 1, 0), (0, size[1] - 1), (255, 0, 255), 2)
    else:
        mask = fov.mask(size[1], size[0]).astype(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(small, outlines, -1, (0, 255, 0), 1)
    tile = np.full((_TILE, _TILE, 3), 96, np.uint8)
    tile[2 : 2 + size[1], 2 : 2 + size[0]] = small
    return tile


def _write_sheet(path: Path, tiles: list[np.ndarray]) -> None:
    columns = min(12, max(1, len(tiles)))
    while len(tiles) % columns:
        tiles.append(np.full((_TILE, _TILE, 3), 96, np.uint8))
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    if rows:
        cv2.imwrite(str(path), np.vstack(rows))


if __name__ == "__main__":
    main()
