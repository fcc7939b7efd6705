"""Paint the retina: colours, texture, disc, macula, light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from magenet_batch.phantom.texture import (
    FloatArray,
    circular_noise,
    fractal_noise,
    smooth_noise,
)
from magenet_batch.phantom.vessels import Anatomy

CAMERAS: dict[str, tuple[float, float, float]] = {
    "orange": (0.80, 0.43, 0.20),
    "red": (0.74, 0.30, 0.14),
    "pale": (0.84, 0.55, 0.36),
    "dark": (0.52, 0.27, 0.15),
    "brown": (0.64, 0.38, 0.17),
}
"""Mean colour of the background by camera and pigment, RGB in 0..1."""

# Absorption by blood, lesions and pigment per channel: red passes, green does not.
_ARTERY = np.asarray((0.16, 0.62, 0.50), np.float32)
_VEIN = np.asarray((0.34, 0.92, 0.66), np.float32)
_BLOOD = np.asarray((0.42, 1.10, 0.80), np.float32)
_MACULA = np.asarray((0.34, 0.48, 0.42), np.float32)


@dataclass(frozen=True)
class Look:
    """Variation from camera to camera and eye to eye.

    Attributes:
        camera: one of `CAMERAS`.
        tint: factors on the background colour (3).
        texture: strength of the choroidal pattern, 0..1.
        sheen: strength of the nerve-fibre reflexes, 0..1.
        cup: radius of the cup relative to the disc's.
        disc_aspect: width of the disc over its height.
        vignette: light lost at the rim, 0..1.
        light: centre of the light (x, y), in radii of the field of view.
        noise: standard deviation of the sensor noise relative to full scale.
    """

    camera: str
    tint: tuple[float, float, float]
    texture: float
    sheen: float
    cup: float
    disc_aspect: float
    vignette: float
    light: tuple[float, float]
    noise: float


def sample_look(rng: np.random.Generator) -> Look:
    """Draw a camera and an eye's pigment."""
    tint = rng.normal(1, 0.04, 3)
    return Look(
        camera=str(rng.choice(list(CAMERAS))),
        tint=(float(tint[0]), float(tint[1]), float(tint[2])),
        texture=float(rng.uniform(0.2, 1.0)),
        sheen=float(rng.uniform(0.1, 1.0)),
        cup=float(rng.uniform(0.35, 0.62)),
        disc_aspect=float(rng.uniform(0.84, 0.98)),
        vignette=float(rng.uniform(0.25, 0.5)),
        light=(float(rng.uniform(-0.2, 0.2)), float(rng.uniform(-0.15, 0.15))),
        noise=float(rng.uniform(0.004, 0.012)),
    )


def _soft_step(values: FloatArray, edge: float) -> FloatArray:
    """1 where values are below -edge, 0 above edge, smooth between."""
    t = np.clip((edge - values) / (2 * edge), 0, 1)
    result: FloatArray = t * t * (3 - 2 * t)
    return result


def paint_background(
    rng: np.random.Generator, look: Look, anatomy: Anatomy, *, x: FloatArray, y: FloatArray
) -> FloatArray:
    """Paint pigment, choroidal pattern and macula.

    Args:
        rng: shapes the texture.
        look: the camera and the eye's pigment.
        anatomy: the landmarks.
        x: position of each pixel from the centre, in radii (H, W).
        y: likewise, downwards.

    Returns:
        (H, W, 3) in 0..1.
    """
    height, width = x.shape
    base = np.asarray(CAMERAS[look.camera], np.float32) * np.asarray(look.tint, np.float32)
    pigment = smooth_noise(rng, height, width, cells=4)
    grain = fractal_noise(rng, height, width, cells=24, octaves=4, gain=0.75)
    # Choroidal vessels: bright ribs between dark gaps where two slow fields cross zero.
    ribs = np.exp(-((smooth_noise(rng, height, width, cells=13, stretch=1.5) / 0.42) ** 2))
    ribs += np.exp(-((smooth_noise(rng, height, width, cells=19, stretch=1.2) / 0.36) ** 2)) * 0.6
    ribs -= ribs.mean()
    to_fovea = np.hypot(x - anatomy.fovea[0], y - anatomy.fovea[1])
    # The choroid shows least where the macular pigment is densest.
    shown = np.float32(look.texture) * (0.25 + 0.75 * np.clip(to_fovea / 0.6, 0, 1))
    tone = 0.035 * pigment + 0.02 * grain + 0.115 * shown * ribs
    scale = np.asarray((0.65, 1.0, 0.95), np.float32)
    image = base * (1 + tone[..., None] * scale)
    # From the disc outwards the retina thins and reddens.
    to_disc = np.hypot(x - anatomy.disc[0], y - anatomy.disc[1])
    near = np.exp(-((to_disc / 0.55) ** 2))[..., None]
    image *= 1 + near * np.asarray((0.08, 0.16, 0.14), np.float32)
    core = np.exp(-((to_fovea / 0.115) ** 2)) * 0.62 + np.exp(-((to_fovea / 0.3) ** 2)) * 0.5
    image *= np.exp(-core[..., None] * _MACULA)
    spark = np.exp(-(((to_fovea) / 0.013) ** 2)) * np.float32(0.16 * look.sheen)
    result: FloatArray = image + spark[..., None] * np.asarray((1.0, 0.9, 0.7), np.float32)
    return result


def add_sheen(
    rng: np.random.Generator,
    image: FloatArray,
    look: Look,
    anatomy: Anatomy,
    *,
    x: FloatArray,
    y: FloatArray,
) -> None:
    """Add, in place, the silvery streaks of nerve fibres that fan out above and below the disc."""
    dx, dy = x - anatomy.disc[0], y - anatomy.disc[1]
    distance = np.hypot(dx, dy)
    # Fibres bend towards the fovea, as the arcades do.
    bend = np.arctan2(dy, -anatomy.side * dx) * (1 + 0.22 * np.minimum(distance, 1.2))
    streaks = circular_noise(rng, (bend + np.pi) % (2 * np.pi) - np.pi, terms=90)
    fan = np.exp(-(((distance - 0.3) / 0.24) ** 2)) * np.abs(np.sin(bend)) ** 1.5
    lift = np.float32(look.sheen) * fan * (0.055 + 0.03 * streaks)
    image += np.maximum(lift, 0)[..., None] * np.asarray((0.7, 1.0, 0.95), np.float32)


def add_disc(
    rng: np.random.Generator,
    image: FloatArray,
    look: Look,
    anatomy: Anatomy,
    *,
    x: FloatArray,
    y: FloatArray,
) -> FloatArray:
    """Paint, in place, the optic disc with its rim, cup and the pigment beside it.

    Returns:
        Coverage of the disc (H, W) in 0..1.
    """
    dx, dy = (x - anatomy.disc[0]) / look.disc_aspect, y - anatomy.disc[1]
    distance, theta = np.hypot(dx, dy), np.arctan2(dy, -anatomy.side * dx)
    outline = anatomy.disc_radius * (1 + 0.018 * circular_noise(rng, theta, terms=4))
    disc = _soft_step((distance - outline) / anatomy.disc_radius, 0.09)
    # A crescent of pigment on the temporal side.
    ring = np.exp(-(((distance - outline * 1.07) / (0.09 * anatomy.disc_radius)) ** 2))
    crescent = ring * np.clip(np.cos(theta), 0, 1) * np.float32(rng.uniform(0.05, 0.35))
    image *= 1 - crescent[..., None] * np.asarray((0.6, 0.8, 0.8), np.float32)
    glow = np.exp(-((distance / (1.7 * anatomy.disc_radius)) ** 2)) * 0.10
    image += glow[..., None] * np.asarray((0.9, 0.8, 0.4), np.float32)
    warm = np.asarray((0.97, 0.72, 0.42), np.float32)
    pale = np.asarray((1.0, 0.90, 0.66), np.float32)
    bright = 0.6 + 0.4 * float(np.mean(CAMERAS[look.camera])) / 0.48
    cup_at = anatomy.side * 0.12 * anatomy.disc_radius
    cup_distance = np.hypot(dx + cup_at, dy) / anatomy.disc_radius
    cup = _soft_step(cup_distance - look.cup, 0.16)
    # The temporal rim is paler than the nasal one.
    side = 0.22 * np.clip(np.cos(theta), -1, 1) * np.clip(distance / anatomy.disc_radius, 0, 1)
    mix = np.clip(0.15 + side + 0.85 * cup, 0, 1)[..., None]
    colour = (warm * (1 - mix) + pale * mix) * np.float32(min(bright, 1.08))
    # Fibres of the lamina cribrosa: faint dots in the cup.
    dots = smooth_noise(rng, *x.shape, cells=110) * 0.025 * cup
    image += disc[..., None] * 0.94 * (colour - image) + (disc * dots)[..., None]
    return disc


def add_vessels(
    image: FloatArray,
    *,
    arteries: FloatArray,
    veins: FloatArray,
    reflex: FloatArray,
    disc: FloatArray,
) -> None:
    """Darken, in place, along the vessels, and add the light streak in their middle."""
    image *= np.exp(-(arteries[..., None] * _ARTERY + veins[..., None] * _VEIN))
    shine = np.asarray((0.10, 0.075, 0.05), np.float32)
    # No streak on the disc, where many vessels overlap.
    image += (reflex * np.maximum(arteries, veins) * (1 - disc))[..., None] * shine


def add_lesions(image: FloatArray, lesions: dict[str, FloatArray]) -> None:
    """Paint, in place, dark red and bright yellow lesions over the retina."""
    dark = 0.62 * lesions["microaneurysm"] + 0.85 * lesions["haemorrhage"]
    image *= np.exp(-dark[..., None] * _BLOOD)
    for kind, colour, opacity in (
        ("soft_exudate", (0.93, 0.82, 0.60), 0.42),
        ("hard_exudate", (0.98, 0.86, 0.45), 0.85),
    ):
        cover = (lesions[kind] * np.float32(opacity))[..., None]
        image += cover * (np.asarray(colour, np.float32) - image)


def light(look: Look, image: FloatArray, *, x: FloatArray, y: FloatArray) -> None:
    """Let the light fall off, in place, towards the rim of the field of view."""
    squared = (x - look.light[0]) ** 2 + (y - look.light[1]) ** 2
    fall = 1 - np.float32(look.vignette) * (0.45 * squared + 0.55 * squared**2)
    # Short wavelengths scatter more, so the rim is redder than the middle.
    for channel, power in enumerate((0.75, 1.1, 1.15)):
        image[..., channel] *= np.clip(fall, 0.12, None) ** np.float32(power)
