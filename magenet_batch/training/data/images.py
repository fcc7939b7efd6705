"""Training images in memory: squares around the field of view, decoded once."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from magenet_batch.errors import ImageError, TrainingError
from magenet_batch.imaging.colour import resize_area, to_eight_bits, to_float
from magenet_batch.imaging.fov import find_fov
from magenet_batch.imaging.names import PHOTOGRAPHS
from magenet_batch.imaging.read import read_image
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.measures import sharpness
from magenet_batch.training.data.config import DataConfig

PHANTOM, SHARPEST = "phantom:", "sharpest:"
"""Prefixes of what can stand in place of a folder."""
_MARGIN = 1.02  # side of the square relative to the diameter of the field of view


_Square = tuple[np.ndarray, np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class TrainingImages:
    """Images of one size.

    Attributes:
        images: (N, 3, S, S) uint8.
        masks: (N, 1, S, S) uint8, 1 inside the field of view.
        vessels: (N, 1, S, S) uint8, 1 on vessels; None if there are no masks.
        names: name of each image.
        skipped: images that could not be used, each with the reason.
    """

    images: torch.Tensor
    masks: torch.Tensor
    vessels: torch.Tensor | None
    names: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def chosen(self, at: torch.Tensor) -> TrainingImages:
        """Some of the images, in the order of their numbers."""
        return replace(
            self, images=self.images[at], masks=self.masks[at],
            vessels=None if self.vessels is None else self.vessels[at],
            names=tuple(self.names[i] for i in at.tolist()),
        )  # fmt: skip

    @cached_property
    def halved(self) -> TrainingImages:
        """The same images at half the size, computed once, so that small views read less."""

        def half(x_BCHW: torch.Tensor) -> torch.Tensor:
            parts = [F.avg_pool2d(part.float(), 2) for part in torch.split(x_BCHW, 32)]
            return torch.cat([(part + 0.5).to(torch.uint8) for part in parts])

        # A pixel is inside only if all four of its source pixels are.
        inside = torch.cat([-F.max_pool2d(-m.float(), 2) for m in torch.split(self.masks, 32)])
        return replace(self, images=half(self.images), masks=inside.to(torch.uint8), vessels=None)

    def to(self, device: torch.device) -> TrainingImages:
        """The same images on a device."""
        vessels = self.vessels.to(device) if self.vessels is not None else None
        return replace(
            self, images=self.images.to(device), masks=self.masks.to(device), vessels=vessels
        )


def load_training_images(
    config: DataConfig,
    folders: Iterable[str],
    *,
    with_vessels: bool = False,
    skip_bad: bool = False,
    threads: int = 2,
) -> TrainingImages:
    """Load all images of some folders.

    Args:
        config: root of the folders, exclusions and size of the squares.
        folders: folders relative to the root, `phantom:N`, or `sharpest:SHARE`.
        with_vessels: whether the folders hold `images` and `masks` of vessels with the same names.
        skip_bad: skip images that cannot be used, as in unreviewed archives, instead of failing.
        threads: number of decoding threads.

    Raises:
        TrainingError: a folder is missing or holds no image, or an image cannot be used.
    """
    squares: list[_Square] = []
    names: list[str] = []
    skipped: list[str] = []

    def load(path: Path) -> _Square | str:
        try:
            return _load_square(path, config.size, with_vessels)
        except (ImageError, TrainingError) as error:
            if not skip_bad:
                raise
            return f"{path}: {error}"

    for folder in folders:
        if folder.startswith(PHANTOM):
            seeds = phantom_seeds(folder)
            squares += [_phantom_square(seed, config.size) for seed in seeds]
            names += [f"phantom/{seed}" for seed in seeds]
            continue
        if folder.startswith(SHARPEST):
            if not config.real:
                raise TrainingError(
                    f"'{folder}' selects from data.real, which is empty: set the archive "
                    "with --set data.real=/archive"
                )
            archive = load_training_images(config, config.real, skip_bad=True, threads=threads)
            for index in sharpest(archive, share=share_of(folder)):
                squares.append((_pixels(archive, index), archive.masks[index, 0].numpy(), None))
                names.append(archive.names[index])
            continue
        paths = image_paths(config, folder, with_vessels=with_vessels)
        with ThreadPoolExecutor(threads) as pool:
            for path, found in zip(paths, pool.map(load, paths), strict=True):
                if isinstance(found, str):
                    skipped.append(found)
                    continue
                squares.append(found)
                names.append(f"{folder}/{path.name}")
    if not squares:
        raise TrainingError(
            "nothing to train on: "
            + (
                f"none of {len(skipped)} images can be used, the first because {skipped[0]}"
                if skipped
                else "the recipe has no folder for this part"
            )
        )
    images = torch.from_numpy(np.stack([s[0] for s in squares])).permute(0, 3, 1, 2).contiguous()
    masks = torch.from_numpy(np.stack([s[1] for s in squares]))[:, None]
    vessels = None
    if with_vessels:
        vessels = torch.from_numpy(np.stack([s[2] for s in squares if s[2] is not None]))[:, None]
    return TrainingImages(images, masks, vessels, tuple(names), tuple(skipped))


def sharpest(photos: TrainingImages, *, share: float) -> list[int]:
    """Indices of the sharpest images, sharpest first; at least one.

    Args:
        photos: images to choose from.
        share: share of them to choose, 0..1.
    """

    def score(index: int) -> float:
        green = resize_area(_pixels(photos, index)[..., 1], 512, 512)
        mask = resize_area(photos.masks[index, 0].float().numpy(), 512, 512)
        rim = cv2.erode((mask > 0.99).astype(np.uint8), np.ones((21, 21), np.uint8))
        return sharpness(to_float(green), rim > 0) if rim.any() else 0.0

    scores = [score(index) for index in range(len(photos))]
    best = sorted(range(len(scores)), key=lambda index: -scores[index])
    return best[: max(1, round(share * len(best)))]


def _pixels(photos: TrainingImages, index: int) -> np.ndarray:
    """(S, S, 3) uint8."""
    return photos.images[index].permute(1, 2, 0).contiguous().numpy()


def share_of(word: str) -> float:
    """Parse the share in a text such as `sharpest:0.25`.

    Raises:
        TrainingError: the text does not state a share.
    """
    try:
        share = float(word.removeprefix(SHARPEST))
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise TrainingError(
            f"'{word}' must have the form sharpest:0.25, with a share between 0 and 1"
        )
    return share


def phantom_seeds(word: str) -> range:
    """Seeds of phantoms: `phantom:8` starts at seed 0, `phantom:8@100` at seed 100.

    Raises:
        TrainingError: the text has neither form.
    """
    count, _, first = word.removeprefix(PHANTOM).partition("@")
    if not count.isdigit() or (first and not first.isdigit()):
        raise TrainingError(f"'{word}' must have the form phantom:8 or phantom:8@100")
    start = int(first or 0)
    return range(start, start + int(count))


def _phantom_square(seed: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    phantom = make_phantom(seed, size=size)
    return phantom.pixels, phantom.fov.astype(np.uint8), (phantom.vessels > 0.5).astype(np.uint8)


def image_paths(config: DataConfig, folder: str, *, with_vessels: bool = False) -> list[Path]:
    """List the images of a folder that the configuration does not exclude, sorted.

    Args:
        config: root, exclusions and the maximum number.
        folder: folder relative to the root.
        with_vessels: list only images that have a vessel mask.

    Raises:
        TrainingError: the folder is missing or holds no image.
    """
    where = Path(config.root) / folder
    inside = where / "images" if with_vessels or (where / "images").is_dir() else where
    if not inside.is_dir():
        raise TrainingError(
            f"no folder {inside}: set the location of the data with --set data.root=FOLDER"
        )
    paths = sorted(
        p
        for p in inside.rglob("*")
        if p.suffix.lower() in PHOTOGRAPHS
        and not p.name.startswith(".")
        and f"{folder}/{p.name}" not in config.exclude
    )
    if with_vessels:
        paths = [p for p in paths if _vessel_path(p).exists()]
    if not paths:
        raise TrainingError(f"no image in {inside}")
    step = -(-len(paths) // config.limit) if config.limit else 1
    return paths[::step]


def _vessel_path(image: Path) -> Path:
    return image.parent.parent / "masks" / f"{image.stem}.png"


def _load_square(
    path: Path, size: int, with_vessels: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Load an image, cut to the square around its field of view, black elsewhere."""
    pixels = to_eight_bits(read_image(path).pixels)
    height, width = pixels.shape[:2]
    fov = find_fov(pixels)
    if fov is None:
        raise TrainingError(f"no field of view was found in {path}: put it on the exclude list")
    mask = fov.mask(height, width).astype(np.uint8)
    radius = fov.radius * _MARGIN
    box = (round(fov.x - radius), round(fov.y - radius), round(2 * radius))
    image = _cut(pixels * mask[..., None], box, size, cv2.INTER_AREA)
    vessels = None
    if with_vessels:
        drawing = cv2.imread(str(_vessel_path(path)), cv2.IMREAD_GRAYSCALE)
        if drawing is None:
            raise TrainingError(f"the vessel mask {_vessel_path(path)} cannot be read")
        drawn = np.where(drawing > 127, 1, 0).astype(np.float32)
        vessels = (_cut(drawn, box, size, cv2.INTER_AREA) > 0.4).astype(np.uint8)
    return image, _cut(mask, box, size, cv2.INTER_NEAREST), vessels


def _cut(array: np.ndarray, box: tuple[int, int, int], size: int, how: int) -> np.ndarray:
    """Cut a square that can extend beyond the image, and resize it."""
    left, top, side = box
    square = np.zeros((side, side, *array.shape[2:]), array.dtype)
    height, width = array.shape[:2]
    y0, y1, x0, x1 = max(top, 0), min(top + side, height), max(left, 0), min(left + side, width)
    square[y0 - top : y1 - top, x0 - left : x1 - left] = array[y0:y1, x0:x1]
    return cv2.resize(square, (size, size), interpolation=how if side > size else cv2.INTER_LINEAR)
