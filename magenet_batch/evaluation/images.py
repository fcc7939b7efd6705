"""Images to evaluate on, and what belongs to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from magenet_batch.errors import UsageError
from magenet_batch.imaging.colour import to_eight_bits
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.imaging.names import PHOTOGRAPHS
from magenet_batch.imaging.read import read_image


@dataclass(frozen=True)
class EvaluationImage:
    """One image at the size of the evaluation.

    Attributes:
        name: file name without folder.
        pixels: (H, W, 3) RGB uint8.
        fov: its field of view.
        mask: (H, W) bool, the pixels inside it.
    """

    name: str
    pixels: np.ndarray
    fov: FieldOfView
    mask: np.ndarray


def list_images(folder: Path, *, limit: int = 0) -> list[Path]:
    """Images of a folder, or of its subfolder `images`, in order, with subfolders.

    Args:
        folder: where to look.
        limit: maximum number, evenly spaced; 0 for all.

    Raises:
        UsageError: if there is none.
    """
    inside = folder / "images" if (folder / "images").is_dir() else folder
    paths = sorted(p for p in inside.rglob("*") if p.suffix.lower() in PHOTOGRAPHS)
    if not paths:
        raise UsageError(f"{inside}: no image in this folder.")
    if not limit or limit >= len(paths):
        return paths
    return [paths[round(i * (len(paths) - 1) / max(limit - 1, 1))] for i in range(limit)]


def load_image(path: Path, *, size: int) -> EvaluationImage | None:
    """Read an image with its longest side reduced to `size`; None without a field of view."""
    pixels = resized(to_eight_bits(read_image(path).pixels), size=size)
    fov = find_fov(pixels)
    if fov is None:
        return None
    return EvaluationImage(path.name, pixels, fov, fov.mask(*pixels.shape[:2]))


def load_mask(path: Path, *, shape: tuple[int, int]) -> np.ndarray:
    """A drawn mask at the size of its image: (H, W) bool.

    Raises:
        UsageError: if it cannot be read.
    """
    drawn = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if drawn is None:
        raise UsageError(f"{path}: this mask cannot be read.")
    share = cv2.resize((drawn > 127).astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
    return share > 0.4


def masks_of(path: Path) -> Iterator[tuple[str, Path]]:
    """Masks of an image in the folder `masks` beside its own: `NAME.png` or `NAME_KIND.png`."""
    folder = path.parent.parent / "masks"
    for mask in sorted(folder.glob(f"{path.stem}*.png")):
        kind = mask.stem.removeprefix(path.stem).lstrip("_")
        if mask.stem == path.stem or mask.stem.startswith(f"{path.stem}_"):
            yield kind, mask


def resized(pixels: np.ndarray, *, size: int) -> np.ndarray:
    """With its longest side reduced to `size`; never enlarged."""
    scale = size / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    wanted = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    return cv2.resize(pixels, wanted, interpolation=cv2.INTER_AREA)
