"""Procedural fundus photographs: every structure is known, and no patient is involved.

A phantom is drawn from one seed and looks the same at every size: anatomy, vessels and texture are
sampled first, in units of the field of view, and rendered afterwards. Tests, the demo and the smoke
recipe use phantoms where a real photograph would need a licence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from magenet_batch.phantom import paint
from magenet_batch.phantom.lesions import KINDS, draw_lesions
from magenet_batch.phantom.texture import FloatArray
from magenet_batch.phantom.vessels import Anatomy, draw_vessels, grow_vessels

__all__ = ["KINDS", "Anatomy", "Phantom", "PhantomParams", "make_phantom", "sample_params"]

MIN_SIZE, MAX_SIZE = 64, 4096
FOV_SHAPES = ("full", "cut", "off_centre", "filled")


@dataclass(frozen=True)
class PhantomParams:
    """All parameters, sampled before rendering.

    Attributes:
        seed: seed of the phantom.
        fov_shape: one of `FOV_SHAPES`: the whole disc, cut at top and bottom, shifted, or nearly
            filling the picture.
        fov_centre: (x, y) relative to the picture's width and height.
        fov_radius: relative to the picture's shorter side.
        fov_cut: distance of the cuts at top and bottom from the centre, in radii; 1 if it is not
            cut.
        notch: angle of the camera's orientation notch in radians, or None.
        anatomy: position of disc and fovea.
        look: camera, pigment, light, noise.
        severity: severity of the lesions, 0 (none) to 1.
    """

    seed: int
    fov_shape: str
    fov_centre: tuple[float, float]
    fov_radius: float
    fov_cut: float
    notch: float | None
    anatomy: Anatomy
    look: paint.Look
    severity: float


@dataclass(frozen=True, eq=False)
class Phantom:
    """One procedural fundus photograph with its ground truth.

    Attributes:
        pixels: RGB, uint8 (H, W, 3); the border is black.
        fov: field of view, bool (H, W).
        vessels: coverage by vessels, float32 (H, W) in 0..1; zero outside the field of view.
        lesions: masks, bool (H, W), by kind (`KINDS`).
        disc_centre: optic disc (x, y) in pixels; it can lie outside the field of view.
        fovea_centre: macula (x, y) in pixels.
        fov_centre: centre of the field of view (x, y) in pixels.
        fov_radius: radius of the field of view in pixels.
        params: the sampled parameters.
    """

    pixels: npt.NDArray[np.uint8]
    fov: npt.NDArray[np.bool_]
    vessels: FloatArray
    lesions: dict[str, npt.NDArray[np.bool_]]
    disc_centre: tuple[float, float]
    fovea_centre: tuple[float, float]
    fov_centre: tuple[float, float]
    fov_radius: float
    params: PhantomParams


def _sample_anatomy(rng: np.random.Generator) -> Anatomy:
    """Place the disc and the fovea: mostly centred on the macula, sometimes on the disc."""
    side = int(rng.choice((-1, 1)))
    view = rng.choice(("macula", "between", "disc"), p=(0.6, 0.25, 0.15))
    middle = {"macula": 0.04, "between": 0.36, "disc": 0.68}[str(view)]
    apart = rng.uniform(0.64, 0.74)
    fovea_x = -side * (middle + rng.normal(0, 0.03))
    fovea_y = float(rng.normal(0.02, 0.04))
    disc = (float(fovea_x + side * apart), fovea_y - float(rng.uniform(0.02, 0.10)))
    return Anatomy(
        disc=disc,
        disc_radius=float(rng.uniform(0.125, 0.155)),
        fovea=(float(fovea_x), fovea_y),
        side=side,
    )


def sample_params(seed: int) -> PhantomParams:
    """Sample all parameters of one phantom, before anything is rendered.

    Args:
        seed: any integer >= 0; the same seed gives the same phantom.

    Returns:
        The sampled parameters.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0])))
    shape = str(rng.choice(FOV_SHAPES, p=(0.4, 0.3, 0.2, 0.1)))
    shift = rng.normal(0, 0.006, 2)
    radius, cut = float(rng.uniform(0.45, 0.485)), 1.0
    if shape == "cut":
        radius, cut = float(rng.uniform(0.475, 0.495)), float(rng.uniform(0.78, 0.92))
    elif shape == "off_centre":
        radius, shift = float(rng.uniform(0.40, 0.45)), rng.uniform(-0.045, 0.045, 2)
    elif shape == "filled":
        radius = float(rng.uniform(0.5, 0.56))
    notch = float(rng.uniform(-0.9, 0.9)) if rng.random() < 0.25 else None
    return PhantomParams(
        seed=seed,
        fov_shape=shape,
        fov_centre=(0.5 + float(shift[0]), 0.5 + float(shift[1])),
        fov_radius=radius,
        fov_cut=cut,
        notch=notch,
        anatomy=_sample_anatomy(rng),
        look=paint.sample_look(rng),
        severity=float(rng.uniform(0.1, 1.0)) if rng.random() < 0.55 else 0.0,
    )


def _fov_cover(params: PhantomParams, x: FloatArray, y: FloatArray, pixel: float) -> FloatArray:
    """Coverage of each pixel by the field of view, with an edge of about two pixels."""
    inside = 1 - np.hypot(x, y)
    if params.notch is not None:
        dx, dy = x - math.cos(params.notch), y - math.sin(params.notch)
        inside = np.minimum(inside, np.hypot(dx, dy) - 0.035)
    inside = np.minimum(inside, params.fov_cut - np.abs(y))
    result: FloatArray = np.clip(inside / (2 * pixel) + 0.5, 0, 1)
    return result


def make_phantom(seed: int, *, size: int = 512, height: int | None = None) -> Phantom:
    """Draw a procedural fundus photograph.

    Args:
        seed: any integer >= 0; the same seed gives the same photograph, at every size.
        size: width in pixels, 64 to 4096.
        height: height in pixels; `size` if not given.

    Returns:
        The photograph and its ground truth.

    Raises:
        ValueError: the size is out of range.
    """
    height = size if height is None else height
    if not (MIN_SIZE <= size <= MAX_SIZE and MIN_SIZE <= height <= MAX_SIZE):
        raise ValueError(
            f"phantom of {size}x{height} px: both sides must be {MIN_SIZE} to {MAX_SIZE} px"
        )
    params = sample_params(seed)
    radius = params.fov_radius * min(size, height)
    centre = (params.fov_centre[0] * size - 0.5, params.fov_centre[1] * height - 0.5)
    x = np.broadcast_to((np.arange(size, dtype=np.float32) - centre[0]) / radius, (height, size))
    y = np.broadcast_to(
        ((np.arange(height, dtype=np.float32) - centre[1]) / radius)[:, None], (height, size)
    )
    # One stream per layer: a change to one leaves the others as they were.
    streams = [
        np.random.Generator(np.random.PCG64(s)) for s in np.random.SeedSequence([seed, 1]).spawn(6)
    ]
    look, anatomy = params.look, params.anatomy
    image = paint.paint_background(streams[0], look, anatomy, x=x, y=y)
    paint.add_sheen(streams[1], image, look, anatomy, x=x, y=y)
    disc = paint.add_disc(streams[2], image, look, anatomy, x=x, y=y)
    segments = grow_vessels(streams[3], anatomy)
    arteries, veins, reflex = draw_vessels(
        segments, height=height, width=size, centre=centre, radius=radius
    )
    lesions = draw_lesions(
        streams[4],
        anatomy,
        severity=params.severity,
        height=height,
        width=size,
        centre=centre,
        radius=radius,
    )
    paint.add_vessels(image, arteries=arteries, veins=veins, reflex=reflex, disc=disc)
    paint.add_lesions(image, lesions)
    paint.light(look, image, x=x, y=y)
    cover = _fov_cover(params, x, y, 1 / radius)
    noise = streams[5].standard_normal(image.shape, dtype=np.float32) * np.float32(look.noise)
    image = (image + noise * (0.4 + image)) * cover[..., None] + np.float32(0.008)
    fov = cover > 0.5
    return Phantom(
        pixels=(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8),
        fov=fov,
        vessels=np.maximum(arteries, veins) * fov,
        lesions={kind: (cover_map > 0.5) & fov for kind, cover_map in lesions.items()},
        disc_centre=(centre[0] + anatomy.disc[0] * radius, centre[1] + anatomy.disc[1] * radius),
        fovea_centre=(
            centre[0] + anatomy.fovea[0] * radius,
            centre[1] + anatomy.fovea[1] * radius,
        ),
        fov_centre=centre,
        fov_radius=radius,
        params=params,
    )
