"""Variation of clean photographs, as other cameras and other eyes would give them.

Every camera has its own field of view, colours and light. None of these is a fault, but a network
that has seen few cameras mistakes them for one. Therefore most clean images are varied in all of
them before they are degraded, and the variation is also part of the target. Some images get large
patches, bright as a scar or dark as a haemorrhage, which must not be mistaken for light either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from magenet_batch.training.data.augment import (
    AugmentParams,
    recolour,
    sample_augmentation,
    warp,
)
from magenet_batch.training.data.config import AugmentConfig
from magenet_batch.training.data.images import TrainingImages

_AS_TAKEN = 0.35  # share of images that are only rotated and mirrored
_ROUND = 0.8  # share of magnified views that get a smaller field of view of their own
_FLAT = 0.25  # share of these with flat cuts above and below
_FILLS = 0.98  # share of the square that the field of view fills
_LIGHT_OF_ITS_OWN = 0.6  # share of the other images that get their own uneven light
_CRESCENT = 0.3  # share of these with a bright crescent
_TEXTURED = 0.4
_SCAR, _BLOOD = ((0.8, 0.6, 0.3), (1.0, 1.0, 0.8)), ((0.1, 0.0, 0.0), (0.4, 0.1, 0.1))  # RGB


@dataclass(frozen=True)
class CameraVariety:
    """Range of the variation between cameras.

    Attributes:
        augment: geometry and colours, for images that are not left as they were taken.
        patches: share of images with a large bright or dark patch, 0..1.
        vignette: maximum darkening of the rim, 0..1; light from one side varies by as much.
        texture: maximum standard deviation of random detail.
    """

    augment: AugmentConfig
    patches: float = 0.0
    vignette: float = 0.0
    texture: float = 0.0


def draw_photographs(
    rng: np.random.Generator,
    photos: TrainingImages,
    variety: CameraVariety,
    *,
    count: int,
    size: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw some of the photographs and vary them.

    Args:
        rng: the only source of randomness.
        photos: photographs to draw from.
        variety: range of the variation.
        count: number of images, B.
        size: side of the squares, pixels, S.

    Returns:
        Images (B, 3, S, S), 0..1, black outside the field of view; and masks (B, 1, S, S) of 0 and
        1.
    """
    chosen = torch.from_numpy(rng.integers(len(photos), size=count))
    params = [_inside(rng, sample_augmentation(rng, variety.augment)) for _ in range(count)]
    varied = rng.random(count) >= _AS_TAKEN
    params = [p if other else _as_taken(p) for p, other in zip(params, varied, strict=True)]
    both = torch.cat([photos.images[chosen].float() / 255, photos.masks[chosen].float()], 1)
    both = warp(both, params, size=size)
    mask = (both[:, 3:] > 0.98).float()
    frames = [_frame(rng, p.zoom, size) for p in params]
    mask = mask * torch.stack(frames).to(mask)
    x = recolour(both[:, :3], params) * mask
    if variety.patches:
        x = _patched(rng, x, variety.patches)
    if variety.vignette:
        x = _in_own_light(rng, x, variety.vignette, varied)
    if variety.texture:
        x = _textured(rng, x, variety.texture)
    return x.clamp(0, 1) * mask, mask


def _as_taken(params: AugmentParams) -> AugmentParams:
    """Keep the rotation and mirroring only."""
    return AugmentParams(angle=params.angle, mirrored=params.mirrored)


def _inside(rng: np.random.Generator, params: AugmentParams) -> AugmentParams:
    """Move a magnified view to a random position inside the larger one."""
    if params.zoom <= 1:
        return params
    room, angle = (1 - 1 / params.zoom) / 2, rng.uniform(0, 2 * np.pi)
    reach = room * np.sqrt(rng.uniform())
    return replace(params, shift=(float(reach * np.cos(angle)), float(reach * np.sin(angle))))


def _frame(rng: np.random.Generator, zoom: float, size: int) -> torch.Tensor:
    """Smaller field of view for a magnified view: (1, S, S) of 0 and 1."""
    across, down = _places(size)
    rounded, flat = rng.random() < _ROUND, rng.random() < _FLAT
    height = rng.uniform(0.75, 0.95)
    if zoom <= 1 or not rounded:
        return torch.ones(1, size, size)
    inside = across.square() + down.square() < _FILLS**2
    if flat:
        inside = inside & (down.abs() < height)
    return inside.float()[None]


def _in_own_light(
    rng: np.random.Generator, x: torch.Tensor, most: float, varied: np.ndarray
) -> torch.Tensor:
    """Add darker rims, light from one side and bright crescents, each with its own hue."""
    across, down = _places(x.shape[-1])
    lights, leaks = torch.ones_like(x), torch.zeros_like(x)
    for index in range(len(x)):
        if rng.random() >= _LIGHT_OF_ITS_OWN or not varied[index]:
            continue
        hue = rng.uniform(0.7, 1.3, 3)
        rim, side = rng.uniform(-0.2, 1) * most * hue, rng.uniform(0, 1) ** 2 * 1.8 * most * hue
        angle, centre = rng.uniform(0, 2 * np.pi), rng.uniform(-0.25, 0.25, 2)
        tilt, steep = np.cos(angle) * across + np.sin(angle) * down, rng.uniform(0.1, 2)
        tilt = torch.tanh(steep * tilt) / np.tanh(steep)
        round_ = (across - centre[0]).square() + (down - centre[1]).square()
        for c in range(3):
            lights[index, c] = 1 - rim[c] * round_ - side[c] * tilt
        if rng.random() < _CRESCENT:
            away, width, depth = rng.uniform(0.2, 0.7), rng.uniform(0.03, 0.12), rng.uniform(0, 0.3)
            apart = ((across + away * np.cos(angle)).square()
                     + (down + away * np.sin(angle)).square()).sqrt()  # fmt: skip
            crescent = torch.sigmoid((apart - (1 + away - depth)) / width)
            colour = torch.from_numpy(rng.uniform((0.3, 0.6, 0.3), 1)).float()
            leaks[index] = rng.uniform(0.05, 0.4) * colour[:, None, None].to(x) * crescent.to(x)
    return x * lights.clamp(0.15, 1.5) + leaks


def _patched(rng: np.random.Generator, x: torch.Tensor, share: float) -> torch.Tensor:
    """Add large patches with irregular outlines to some of the images."""
    across, down = _places(x.shape[-1])
    x = x.clone()
    for index in np.flatnonzero(rng.random(len(x)) < share):
        (away, turn), radius = rng.uniform((0, 0), (0.7, 2 * np.pi)), rng.uniform(0.08, 0.45)
        dx, dy = across - away * np.cos(turn), down - away * np.sin(turn)
        theta, distance = torch.atan2(dy, dx), (dx.square() + dy.square()).sqrt()
        outline = torch.ones_like(theta)
        for waves in range(2, 7):
            outline += rng.uniform(0, 0.8 / waves) * torch.cos(waves * theta + rng.uniform(0, 7))
        inside = torch.sigmoid((radius * outline - distance) / rng.uniform(0.01, 0.06))
        low, high = _SCAR if rng.random() < 0.6 else _BLOOD
        colour = torch.from_numpy(rng.uniform(low, high)).to(x)[:, None, None]
        x[index] = torch.lerp(x[index], colour, rng.uniform(0.2, 0.9) * inside.to(x))
    return x


def _textured(rng: np.random.Generator, x: torch.Tensor, most: float) -> torch.Tensor:
    """Multiply random detail onto images, to train the preservation of its contrast."""
    count, _, height, width = x.shape
    strength = rng.uniform(0.1, 1, count) * most * (rng.random(count) < _TEXTURED)
    noise = rng.standard_normal((count, 1, height, width), np.float32)
    noise *= strength.astype(np.float32)[:, None, None, None]
    return x * (1 + torch.from_numpy(noise).to(x))


def _places(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Coordinates across (1, S) and down (S, 1), -1..1."""
    at = (torch.arange(size) + 0.5) * (2 / size) - 1
    return at[None], at[:, None]
