"""Crops of sharp photographs in varied light, and degraded copies of the same crops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from magenet_batch.degradation import DegradationParams, preset, sample_degradation
from magenet_batch.degradation.crops import degrade_crop
from magenet_batch.degradation.kinds.jpeg import compression
from magenet_batch.degradation.kinds.noise import REFERENCE_HEIGHT, noise_taps
from magenet_batch.errors import TrainingError
from magenet_batch.imaging.colour import to_eight_bits
from magenet_batch.imaging.fov import find_fov
from magenet_batch.imaging.read import read_image
from magenet_batch.models.restoration.bands import REACH
from magenet_batch.models.restoration.rim import continued
from magenet_batch.phantom import make_phantom
from magenet_batch.training.data.config import DataConfig
from magenet_batch.training.data.images import image_paths, phantom_seeds
from magenet_batch.training.restoration.config import SensorTrainingConfig

_LEAST_INSIDE = 0.55  # minimum share of a crop inside the field of view
_TALL = (0.7, 1.0)  # height of the picture relative to the diameter of the field of view
_EIGHT_BITS = 0.9  # share of crops that are rounded to eight bits, as in files
_RIM = 3  # width in pixels of the rim of the field of view that is ignored


@dataclass(frozen=True)
class Photograph:
    """A sharp photograph at full resolution, cut to the box around its field of view.

    Attributes:
        pixels: (H, W, 3) uint8, black outside the field of view.
        mask: (H, W) uint8.
        side: diameter of the field of view, pixels.
    """

    pixels: np.ndarray
    mask: np.ndarray
    side: float


@dataclass(frozen=True)
class Crops:
    """Training examples of the sensor stage.

    Attributes:
        seen: degraded crops, (B, 3, c, c), continued smoothly outside the field of view.
        wanted: the same light without blur, noise and compression.
        mask: where the error counts, (B, 1, c, c).
        inner: the mask without its rim, where statistics are taken.
        facts: (B, 3): blur in pixels, noise in percent of the range, loss by compression 0..1.
        side: approximate diameter of the field of view, pixels.
    """

    seen: torch.Tensor
    wanted: torch.Tensor
    mask: torch.Tensor
    inner: torch.Tensor
    facts: torch.Tensor
    side: float

    def to(self, device: torch.device) -> Crops:
        """The same crops on a device."""
        return self._each(lambda t: t.to(device, non_blocking=True))

    def pin_memory(self) -> Crops:
        """The same crops in page-locked memory, from which a GPU copies faster."""
        return self._each(torch.Tensor.pin_memory)

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Crops:
        changed = {name: change(t) for name, t in vars(self).items() if name != "side"}
        return Crops(**changed, side=self.side)


def load_photographs(config: DataConfig, folders: tuple[str, ...]) -> list[Photograph]:
    """Load all images of some folders at full resolution; skip those without a field of view."""
    found = []
    for pixels in _pictures(config, folders):
        fov = find_fov(pixels)
        if fov is None:
            continue
        height, width = pixels.shape[:2]
        mask = fov.mask(height, width)
        top, bottom, left, right = fov.box(height, width)
        cut = (pixels * mask[..., None])[top:bottom, left:right]
        inside = mask[top:bottom, left:right].astype(np.uint8)
        found.append(Photograph(np.ascontiguousarray(cut), inside, 2 * fov.radius))
    return found


def check_sizes(photographs: list[Photograph], config: SensorTrainingConfig) -> None:
    """Check that crops can be cut at every reduction.

    Raises:
        TrainingError: no photograph is large enough.
    """
    largest = max((min(p.mask.shape) for p in photographs), default=0)
    need = round(config.crop / min(1.0, *config.views))
    if need > largest:
        raise TrainingError(
            f"crops of {config.crop} px out of photographs that are reduced to "
            f"{min(config.views):g} need a field of view of {need} px; the largest has {largest}: "
            "lower sensor.crop, raise sensor.views, or give larger photographs"
        )


def _pictures(config: DataConfig, folders: tuple[str, ...]) -> Iterator[np.ndarray]:
    """Yield the pixels of all images of some folders, or of phantoms."""
    for folder in folders:
        if folder.startswith("phantom:"):
            for seed in phantom_seeds(folder):
                yield make_phantom(seed, size=config.size).pixels
            continue
        for path in image_paths(config, folder):
            yield to_eight_bits(read_image(path).pixels)


def draw_crops(
    rng: np.random.Generator, photographs: list[Photograph], config: SensorTrainingConfig
) -> Crops:
    """Draw a batch of crops at one reduction.

    Args:
        rng: the only source of randomness.
        photographs: sharp photographs.
        config: sizes, preset and shares.
    """
    how = preset(config.preset)
    ratio = 1.0 if rng.random() < config.native else float(rng.uniform(*config.views))
    rows: list[tuple[np.ndarray, ...]] = []
    while len(rows) < config.batch:
        photograph = photographs[rng.integers(len(photographs))]
        cut = _cut(rng, photograph, config.crop, ratio)
        if cut is None:
            continue
        sharp, mask = cut
        # No border: the rim is relit before the sensor stage (models/restoration/rim.py).
        wanted = continued(_relit(rng, sharp, config.recoloured) * mask[..., None], mask)
        params = sample_degradation(rng, how)
        height = round(photograph.side * ratio * rng.uniform(*_TALL))
        seen = degrade_crop(wanted, params, height=height)
        if rng.random() < _EIGHT_BITS:
            seen = np.round(seen * 255) / np.float32(255)
        rows.append((
            seen, wanted, *_counted(mask),
            facts(params, height, float(wanted[mask > 0].mean())),
        ))  # fmt: skip
    seen, wanted, mask, inner, known = (np.stack(column) for column in zip(*rows, strict=True))
    side = float(np.mean([p.side for p in photographs[:50]])) * ratio
    return Crops(
        _images(seen), _images(wanted), torch.from_numpy(mask)[:, None],
        torch.from_numpy(inner)[:, None], torch.from_numpy(known), side,
    )  # fmt: skip


def facts(params: DegradationParams, height: int, light: float) -> np.ndarray:
    """Ground truth for Sense: blur in pixels, noise in percent, loss by compression 0..1."""
    taps, gain = noise_taps(params, height=height)
    kept = gain * float((taps**2).sum())  # share of its deviation that remains
    noise = (
        np.sqrt(params.noise_read**2 + params.noise_shot * light) * height / REFERENCE_HEIGHT * kept
    )
    return np.array([params.blur_sigma * height, 100 * noise, compression(params)], np.float32)


def _images(stacked: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)))


def _cut(
    rng: np.random.Generator, photograph: Photograph, crop: int, ratio: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Cut a random square of the reduced photograph, rotated and mirrored; None if mostly rim."""
    need = crop if ratio == 1 else round(crop / ratio)
    height, width = photograph.mask.shape
    if need > min(height, width):
        return None
    top, left = (int(rng.integers(0, size - need + 1)) for size in (height, width))
    mask = photograph.mask[top : top + need, left : left + need]
    if mask.mean() < _LEAST_INSIDE:
        return None
    cut = photograph.pixels[top : top + need, left : left + need]
    pixels: np.ndarray = cut.astype(np.float32) / 255
    if ratio != 1:
        pixels = cv2.resize(pixels, (crop, crop), interpolation=cv2.INTER_AREA)
        mask = (
            cv2.resize(mask.astype(np.float32), (crop, crop), interpolation=cv2.INTER_AREA) > 0.99
        )
    turns, mirrored = int(rng.integers(4)), rng.random() < 0.5
    both = [np.rot90(a, turns) for a in (pixels, mask.astype(np.float32))]
    if mirrored:
        both = [a[:, ::-1] for a in both]
    return np.ascontiguousarray(both[0]), np.ascontiguousarray(both[1])


def _relit(rng: np.random.Generator, x: np.ndarray, share: float) -> np.ndarray:
    """Vary exposure, colours or veil, also in the target."""
    x = x.copy()
    if rng.random() < share:
        colour = (1, 1, 3) if rng.random() < 0.4 else (1, 1, 1)
        x = np.clip(x * rng.uniform(0.45, 1.3, colour), 0, 1)
        if rng.random() < 0.4:
            x = x ** rng.uniform(0.75, 1.3)
    if rng.random() < 0.8 * share:
        left = rng.uniform(0.12, 1)
        x = x * left + (1 - left) * rng.uniform(0.15, 0.9, (1, 1, 3))
    if rng.random() < 0.4 * share:
        size = x.shape[0]
        at = np.linspace(-0.5, 0.5, size, dtype=np.float32)
        slope = rng.uniform(-0.45, 0.45, 2)
        x = x * (1 - 0.5 * np.abs(slope).sum() + slope[0] * at[:, None] + slope[1] * at)[..., None]
    return np.clip(x, 0, 1).astype(np.float32)


def _counted(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mask of the error, and mask of the statistics."""
    size = 2 * _RIM + 1
    counted = cv2.erode(mask, np.ones((size, size), np.uint8), borderValue=1)
    inner = cv2.erode(mask, np.ones((25, 25), np.uint8), borderValue=1)
    edge = REACH // 2
    border = np.zeros_like(inner)
    border[edge:-edge, edge:-edge] = 1
    return counted.astype(np.float32), (inner * border).astype(np.float32)
