"""Lesions of diabetic retinopathy, as soft masks."""

from __future__ import annotations

import math

import numpy as np

from magenet_batch.phantom.texture import FloatArray
from magenet_batch.phantom.vessels import Anatomy

KINDS = ("microaneurysm", "haemorrhage", "hard_exudate", "soft_exudate")


class _Canvas:
    """Draws blobs with wavy outlines into one map; positions in radii of the field of view."""

    def __init__(
        self, *, height: int, width: int, centre: tuple[float, float], radius: float
    ) -> None:
        self.map = np.zeros((height, width), np.float32)
        self.centre, self.radius = centre, radius

    def blob(
        self,
        rng: np.random.Generator,
        *,
        at: tuple[float, float],
        size: float,
        wavy: float,
        soft: float,
        stretch: float = 1.0,
        angle: float = 0.0,
    ) -> None:
        """Draw one blob.

        Args:
            rng: shapes the outline.
            at: its centre.
            size: its mean radius.
            wavy: how far the outline wanders, relative to the radius.
            soft: width of its edge relative to the radius; at least one pixel.
            stretch: length over width.
            angle: direction of its length, radians.
        """
        phases = rng.uniform(0, 2 * math.pi, 5)
        strengths = rng.normal(0, wavy, 5) / np.arange(1.3, 6)
        height, width = self.map.shape
        px, py = self.centre[0] + at[0] * self.radius, self.centre[1] + at[1] * self.radius
        reach = size * self.radius * stretch * (1 + 3 * wavy + soft) + 2
        left, right = max(0, int(px - reach)), min(width, int(px + reach) + 1)
        top, bottom = max(0, int(py - reach)), min(height, int(py + reach) + 1)
        if left >= right or top >= bottom:
            return
        dx = np.arange(left, right, dtype=np.float32)[None, :] - px
        dy = np.arange(top, bottom, dtype=np.float32)[:, None] - py
        along = (dx * math.cos(angle) + dy * math.sin(angle)) / stretch
        across = dy * math.cos(angle) - dx * math.sin(angle)
        theta = np.arctan2(across, along)
        outline = np.ones_like(theta)
        for order, (phase, strength) in enumerate(zip(phases, strengths, strict=True), start=2):
            outline += np.float32(strength) * np.cos(order * theta + phase)
        outline *= size * self.radius
        edge = max(soft * size * self.radius, 1.0)
        cover = np.clip((outline - np.hypot(along, across)) / edge + 0.5, 0, 1)
        box = (slice(top, bottom), slice(left, right))
        self.map[box] = np.maximum(self.map[box], cover)


def _place(rng: np.random.Generator, anatomy: Anatomy) -> tuple[float, float]:
    """Draw a position in the posterior pole, outside the disc."""
    while True:
        distance, angle = 0.85 * math.sqrt(rng.random()), rng.uniform(0, 2 * math.pi)
        x, y = distance * math.cos(angle), distance * math.sin(angle)
        if math.hypot(x - anatomy.disc[0], y - anatomy.disc[1]) > 1.6 * anatomy.disc_radius:
            return x, y


def _exudates(rng: np.random.Generator, canvas: _Canvas, anatomy: Anatomy) -> None:
    """Clusters and incomplete rings of hard exudates, mostly around the macula."""
    for _ in range(int(rng.integers(1, 4))):
        x, y = _place(rng, anatomy)
        x, y = (x + anatomy.fovea[0]) / 2, (y + anatomy.fovea[1]) / 2
        ring = rng.uniform(0.05, 0.14) if rng.random() < 0.5 else 0.0
        start = rng.uniform(0, 2 * math.pi)
        for _ in range(int(rng.integers(8, 30))):
            theta = start + rng.uniform(0, 4.2)
            spread = rng.normal(0, 0.05, 2) if ring == 0 else rng.normal(0, 0.012, 2)
            canvas.blob(
                rng,
                at=(x + ring * math.cos(theta) + spread[0], y + ring * math.sin(theta) + spread[1]),
                size=float(rng.lognormal(math.log(0.0085), 0.5)),
                wavy=0.28,
                soft=0.35,
                stretch=float(rng.uniform(1, 1.6)),
                angle=float(rng.uniform(0, math.pi)),
            )


def draw_lesions(
    rng: np.random.Generator,
    anatomy: Anatomy,
    *,
    severity: float,
    height: int,
    width: int,
    centre: tuple[float, float],
    radius: float,
) -> dict[str, FloatArray]:
    """Draw the lesions of one eye.

    Args:
        rng: where the randomness comes from.
        anatomy: the landmarks.
        severity: 0 (none) to 1 (many of every kind).
        height: rows of the picture.
        width: columns of the picture.
        centre: of the field of view (x, y) in pixels.
        radius: of the field of view in pixels.

    Returns:
        Kind of lesion (`KINDS`) -> coverage (height, width) in 0..1.
    """

    def canvas() -> _Canvas:
        return _Canvas(height=height, width=width, centre=centre, radius=radius)

    maps = {kind: canvas() for kind in KINDS}
    if severity <= 0:
        return {kind: c.map for kind, c in maps.items()}
    for _ in range(int(rng.integers(3, 8) + 22 * severity)):
        size = float(rng.uniform(0.0055, 0.011))
        spot = _place(rng, anatomy)
        maps["microaneurysm"].blob(rng, at=spot, size=size, wavy=0.06, soft=0.6)
    for _ in range(int(rng.integers(0, 3) + 14 * severity * (severity > 0.25))):
        x, y = _place(rng, anatomy)
        flame = rng.random() < 0.4
        maps["haemorrhage"].blob(
            rng,
            at=(x, y),
            size=float(rng.uniform(0.01, 0.016 if flame else 0.034)),
            wavy=0.3 if flame else 0.2,
            soft=0.5,
            stretch=float(rng.uniform(2.2, 4.0)) if flame else float(rng.uniform(1, 1.4)),
            angle=math.atan2(y - anatomy.disc[1], x - anatomy.disc[0]) + rng.normal(0, 0.3),
        )
    if severity > 0.35:
        _exudates(rng, maps["hard_exudate"], anatomy)
    if severity > 0.6:
        for _ in range(int(rng.integers(1, 5))):
            size = float(rng.uniform(0.025, 0.05))
            spot = _place(rng, anatomy)
            maps["soft_exudate"].blob(rng, at=spot, size=size, wavy=0.22, soft=1.1)
    return {kind: c.map for kind, c in maps.items()}
