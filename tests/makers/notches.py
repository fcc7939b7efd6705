"""Draw the notch that cameras cut into the edge of the field of view."""

import numpy as np

from magenet_batch.imaging.fov import FieldOfView


def notched(
    pixels: np.ndarray,
    fov: FieldOfView,
    *,
    angle: float,
    deep: float = 0.05,
    wide: float = 0.15,
) -> tuple[np.ndarray, np.ndarray]:
    """A picture with a notch, which shows what the rim shows, and where it is.

    Args:
        pixels: (H, W, 3) RGB.
        fov: its field of view.
        angle: where on the edge, degrees clockwise from the right.
        deep: how far outward, radii.
        wide: how far along the edge, radii.

    Returns:
        The picture, and the notch outside the field of view (H, W) bool.
    """
    height, width = pixels.shape[:2]
    turn = np.radians(angle)
    x = np.arange(width) + 0.5 - fov.x
    y = np.arange(height)[:, None] + 0.5 - fov.y
    outward = (x * np.cos(turn) + y * np.sin(turn)) / fov.radius
    along = (y * np.cos(turn) - x * np.sin(turn)) / fov.radius
    inside = fov.mask(height, width)
    tab = (outward > 0.9) & (outward < 1 + deep) & (np.abs(along) < wide / 2)
    colour = np.median(pixels[inside & (outward > 0.94) & (outward < 0.97) & tab], axis=0)
    picture = pixels.copy()
    away = np.hypot(x, y) / fov.radius
    picture[tab & (away > 0.985)] = colour
    return picture, tab & ~inside
