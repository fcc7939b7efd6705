"""What an odd file of the corpus is, and what must come of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_ROWS, _COLUMNS = np.mgrid[:24, :32]
PICTURE = np.stack([_COLUMNS * 7, _ROWS * 9, 3 * _ROWS + 5 * _COLUMNS], 2).astype(np.uint8)


class Odd(NamedTuple):
    """A file and the only right outcome.

    Attributes:
        name: what is odd about it; unique.
        data: its content.
        pixels: the right RGB pixels, or None if it must be refused.
        refusal: the reason and words of the message, if it must be refused.
        note: words of the decoder's note; empty if there must be none.
        page: page to ask for.
    """

    name: str
    data: bytes
    pixels: np.ndarray | None = None
    refusal: tuple[str, str] = ("", "")
    note: str = ""
    page: int | None = None


def samples(bits: int, channels: int = 3) -> np.ndarray:
    """`(24, 32, channels)` integers that use the whole range of a bit depth."""
    top = (1 << bits) - 1
    ramp = _ROWS[..., None] * 41 + _COLUMNS[..., None] * 97 + np.arange(channels) * 1009
    values = ramp * 2654435761 % (1 << 32) * top // ((1 << 32) - 1)
    values[0, 0], values[0, 1] = 0, top
    return values.astype(np.uint16)


def full(values: np.ndarray, bits: int) -> np.ndarray:
    """Values over the full range of 8 or 16 bits, by division rather than by our own code."""
    whole = 255 if bits <= 8 else 65535
    scaled = np.floor(values.astype(np.float64) * whole / ((1 << bits) - 1) + 0.5)
    return scaled.astype(np.uint8 if bits <= 8 else np.uint16)


def rgb(values: np.ndarray) -> np.ndarray:
    """`(H, W, 3)` of grey or RGB values."""
    return values[..., :1].repeat(3, 2) if values.shape[2] < 3 else values[..., :3]


def over_black(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours times alpha, both over their full range."""
    top = np.iinfo(colours.dtype).max
    return (colours.astype(np.uint64) * alpha // top).astype(colours.dtype)
