"""Grow a tree of retinal vessels and draw it.

Positions are in units of the field of view's radius, from its centre, y down. Growth is a march:
each tip steers along its guide, wavers a little, tapers, and now and then branches by Murray's law
(Murray, PNAS 1926: the cubes of the daughters' radii add up to the cube of the parent's).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from magenet_batch.phantom.texture import FloatArray

STEP = 0.026
"""Length of one segment, in radii of the field of view."""
REACH = 1.2
"""Distance from the centre beyond which nothing grows."""
THINNEST = 0.0034
"""Width below which a vessel is no longer visible."""
_CELLS = 110
"""Cells across the grid that keeps vessels of one kind apart."""


@dataclass(frozen=True)
class Anatomy:
    """Positions of the landmarks, in radii of the field of view from its centre.

    Attributes:
        disc: centre of the optic disc (x, y).
        disc_radius: half its height.
        fovea: centre of the macula (x, y).
        side: +1 if the disc is to the right of the fovea, -1 if to the left.
    """

    disc: tuple[float, float]
    disc_radius: float
    fovea: tuple[float, float]
    side: int


@dataclass
class _Tip:
    """A growing end: its position, direction and width."""

    x: float
    y: float
    heading: float
    width: float
    vein: bool
    depth: int
    guide: list[tuple[float, float]] = field(default_factory=list)
    until_branch: float = 0.0
    turn: float = 0.0
    age: int = 0
    side: int = 1


def _bezier(points: list[tuple[float, float]], count: int) -> list[tuple[float, float]]:
    """Points along the cubic Bezier curve of four control points."""
    curve = []
    for i in range(1, count + 1):
        t = i / count
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
        curve.append(
            (
                sum(w * p[0] for w, p in zip(weights, points, strict=True)),
                sum(w * p[1] for w, p in zip(weights, points, strict=True)),
            )
        )
    return curve


def _trunks(rng: np.random.Generator, anatomy: Anatomy) -> list[_Tip]:
    """The four arteries and four veins that leave the disc, with the arcs they follow."""
    (dx, dy), (fx, fy), side = anatomy.disc, anatomy.fovea, anatomy.side
    reach = abs(dx - fx)
    tips = []
    for vein in (True, False):
        for up in (-1, 1):
            for temporal in (True, False):
                wobble = rng.normal(0, 0.045, 6)
                spread = (0.62 if vein else 0.56) + wobble[0]
                start = (dx + side * (0.02 - 0.03 * vein), dy - up * 0.012)
                if temporal:
                    guide = [
                        start,
                        (dx - side * (0.04 + abs(wobble[1])), dy + up * (0.42 + wobble[2])),
                        (dx - side * reach * 0.55, fy + up * (spread + 0.14)),
                        (
                            fx - side * (0.75 + wobble[3]),
                            fy + up * (0.40 + 0.12 * vein + wobble[4]),
                        ),
                    ]
                else:
                    guide = [
                        start,
                        (dx + side * 0.02, dy + up * (0.22 + wobble[1])),
                        (dx + side * (0.25 + wobble[2]), dy + up * (0.50 + wobble[3])),
                        (
                            dx + side * (0.75 + wobble[4]),
                            dy + up * (0.85 + 0.15 * vein + wobble[5]),
                        ),
                    ]
                calibre = (0.0255 if vein else 0.0185) * (1.0 if temporal else 0.8)
                tips.append(
                    _Tip(
                        *start,
                        heading=math.atan2(up, 0.1 * side),
                        width=calibre * rng.uniform(0.88, 1.12),
                        vein=vein,
                        depth=0,
                        guide=_bezier(guide, 40),
                        until_branch=rng.uniform(0.16, 0.26),
                        side=int(rng.choice((-1, 1))),
                    )
                )
    return tips


def _steer(tip: _Tip, anatomy: Anatomy, noise: float) -> None:
    """Turn the tip: along its guide, gently around otherwise, never across the fovea."""
    tip.turn = 0.72 * tip.turn + noise * (0.075 if tip.vein else 0.055)
    tip.heading += tip.turn
    while tip.guide and math.hypot(tip.guide[0][0] - tip.x, tip.guide[0][1] - tip.y) < 0.09:
        tip.guide.pop(0)
    if tip.guide:
        wanted = math.atan2(tip.guide[0][1] - tip.y, tip.guide[0][0] - tip.x)
        pull = 0.34
    else:
        # Towards the fovea from inside the arcades, away from the disc elsewhere.
        to_x, to_y = anatomy.fovea[0] - tip.x, anatomy.fovea[1] - tip.y
        inside = math.hypot(to_x, to_y) < 0.52
        if inside:
            wanted = math.atan2(to_y, to_x)
        else:
            wanted = math.atan2(tip.y - anatomy.disc[1], tip.x - anatomy.disc[0])
        pull = 0.035
    difference = (wanted - tip.heading + math.pi) % (2 * math.pi) - math.pi
    tip.heading += pull * difference


def _branch(tip: _Tip, rng: np.random.Generator) -> _Tip:
    """Split the tip in two; the tip itself continues as the wider daughter."""
    main = tip.depth == 0 and bool(tip.guide)
    share = rng.uniform(0.12, 0.34) if main else rng.uniform(0.22, 0.5)
    child_width = tip.width * share ** (1 / 3)
    tip.width *= (1 - share) ** (1 / 3)
    tip.side = -tip.side if rng.random() < 0.75 else tip.side
    angle = tip.side * rng.uniform(0.55, 1.05)
    tip.until_branch = rng.uniform(0.09, 0.2) if main else rng.uniform(0.09, 0.26)
    if not main:
        tip.heading -= 0.25 * angle
    return _Tip(
        tip.x,
        tip.y,
        heading=tip.heading + angle,
        width=child_width * rng.uniform(0.72, 0.95),
        vein=tip.vein,
        depth=tip.depth + 1,
        until_branch=rng.uniform(0.1, 0.28),
        side=-tip.side,
    )


def _fade(segments: list[list[float]], born: int) -> None:
    """Thin the last segments of a twig, in place, so that it does not end bluntly."""
    tail = segments[max(born, len(segments) - 7) :]
    for left, segment in enumerate(reversed(tail)):
        segment[4] *= min(1.0, 0.3 + 0.1 * (left + 1))
        segment[5] *= min(1.0, 0.3 + 0.1 * left)


def grow_vessels(rng: np.random.Generator, anatomy: Anatomy) -> FloatArray:
    """Grow all vessels of one eye.

    Args:
        rng: where the randomness comes from.
        anatomy: the landmarks to start from and to grow around.

    Returns:
        Segments (N, 7): x0, y0, x1, y1, width at the start, width at the end, 1 for a vein.
    """
    queue = _trunks(rng, anatomy)
    taken = np.zeros((2, _CELLS, _CELLS), np.int32)
    segments: list[list[float]] = []
    avascular = rng.uniform(0.1, 0.14)
    for number, tip in enumerate(queue, start=1):
        noise = rng.standard_normal(160)
        born = len(segments)
        while tip.age < 160 and tip.width > THINNEST:
            _steer(tip, anatomy, noise[tip.age])
            x, y = tip.x + STEP * math.cos(tip.heading), tip.y + STEP * math.sin(tip.heading)
            to_fovea = math.hypot(x - anatomy.fovea[0], y - anatomy.fovea[1])
            if math.hypot(x, y) > REACH or to_fovea < avascular:
                break
            cell = (
                int(tip.vein),
                int((y / REACH + 1) * _CELLS / 2),
                int((x / REACH + 1) * _CELLS / 2),
            )
            cell = (cell[0], min(cell[1], _CELLS - 1), min(cell[2], _CELLS - 1))
            if tip.depth > 0 and tip.age > 2 and taken[cell] not in (0, number):
                break
            taken[cell] = number
            before = tip.width
            # A twig fades before the avascular zone, and with its length.
            tip.width *= 1 - (0.004 if tip.depth == 0 else 0.016 + 0.012 * (to_fovea < 0.3))
            segments.append([tip.x, tip.y, x, y, before, tip.width, float(tip.vein)])
            tip.x, tip.y, tip.age = x, y, tip.age + 1
            tip.until_branch -= STEP
            if tip.until_branch <= 0 and tip.depth < 5:
                queue.append(_branch(tip, rng))
        if tip.depth > 0:
            _fade(segments, born)
    return np.asarray(segments, np.float32)


def draw_vessels(
    segments: FloatArray, *, height: int, width: int, centre: tuple[float, float], radius: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Draw segments with soft edges.

    Args:
        segments: from `grow_vessels`.
        height: rows of the picture.
        width: columns of the picture.
        centre: of the field of view (x, y) in pixels.
        radius: of the field of view in pixels.

    Returns:
        Three maps (height, width) in 0..1: coverage of arteries, coverage of veins, and the bright
        reflex along the middle of the wider ones.
    """
    covers = np.zeros((2, height, width), np.float32)
    reflex = np.zeros((height, width), np.float32)
    ends = segments[:, :4] * radius + np.asarray([*centre, *centre], np.float32)
    halves = np.maximum(segments[:, 4:6] * radius / 2, 0.05)
    for (x0, y0, x1, y1), (half0, half1), vein in zip(ends, halves, segments[:, 6], strict=True):
        pad = max(half0, half1) + 1.5
        left, right = max(0, int(min(x0, x1) - pad)), min(width, int(max(x0, x1) + pad) + 1)
        top, bottom = max(0, int(min(y0, y1) - pad)), min(height, int(max(y0, y1) + pad) + 1)
        if left >= right or top >= bottom:
            continue
        px = np.arange(left, right, dtype=np.float32)[None, :] - x0
        py = np.arange(top, bottom, dtype=np.float32)[:, None] - y0
        ux, uy = x1 - x0, y1 - y0
        along = np.clip((px * ux + py * uy) / max(ux * ux + uy * uy, 1e-6), 0, 1)
        distance = np.sqrt((px - along * ux) ** 2 + (py - along * uy) ** 2)
        half = half0 + along * (half1 - half0)
        # A vessel thinner than a pixel covers less than a whole one.
        cover = np.clip(half - distance + 0.5, 0, 1) * np.minimum(1, 2 * half)
        box = (slice(top, bottom), slice(left, right))
        layer = covers[int(vein)]
        layer[box] = np.maximum(layer[box], cover)
        if half0 > 1.2:
            shine = np.exp(-((distance / (0.32 * half)) ** 2)) * min(1.0, half0 - 1.2)
            reflex[box] = np.maximum(reflex[box], shine * (0.55 if vein else 1.0))
    return covers[0], covers[1], reflex
