"""Smooth random fields that look the same at every size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def _spline_matrix(samples: FloatArray, cells: int) -> FloatArray:
    """Cubic B-spline weights of `cells + 3` control points at positions in 0..1, (N, cells + 3)."""
    position = np.clip(samples, 0.0, 1.0) * np.float32(cells * 0.9999)
    first = position.astype(np.int64)
    t = position - first
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    )
    matrix = np.zeros((len(samples), cells + 3), np.float32)
    rows = np.arange(len(samples))
    for k in range(4):
        matrix[rows, first + k] = weights[:, k] / 6
    return matrix


def smooth_noise(
    rng: np.random.Generator, height: int, width: int, *, cells: int, stretch: float = 1.0
) -> FloatArray:
    """Sample one octave of smooth noise.

    The random numbers depend on `cells` alone, so a generator gives the same field, finer or
    coarser, at every size.

    Args:
        rng: where the randomness comes from.
        height: rows.
        width: columns.
        cells: bumps across the picture.
        stretch: how much longer than wide the bumps are, along the rows.

    Returns:
        (height, width) with zero mean and unit variance, roughly.
    """
    across = max(1, round(cells / stretch))
    control = rng.standard_normal((cells + 3, across + 3)).astype(np.float32)
    rows = _spline_matrix(np.linspace(0, 1, height, dtype=np.float32), cells)
    columns = _spline_matrix(np.linspace(0, 1, width, dtype=np.float32), across)
    result: FloatArray = (rows @ control @ columns.T * np.float32(2.1)).astype(
        np.float32, copy=False
    )
    return result


def fractal_noise(
    rng: np.random.Generator, height: int, width: int, *, cells: int, octaves: int, gain: float
) -> FloatArray:
    """Sum octaves of smooth noise, each twice as fine and `gain` times as strong as the last.

    Returns:
        (height, width) with zero mean and unit variance, roughly.
    """
    total = np.zeros((height, width), np.float32)
    power = 0.0
    for octave in range(octaves):
        strength = gain**octave
        total += np.float32(strength) * smooth_noise(rng, height, width, cells=cells << octave)
        power += strength**2
    result: FloatArray = total / np.float32(np.sqrt(power))
    return result


def circular_noise(rng: np.random.Generator, angle: FloatArray, *, terms: int) -> FloatArray:
    """Sample a periodic smooth function and evaluate it at angles in radians; unit variance."""
    order = np.arange(2, terms + 2)
    phase = rng.uniform(0, 2 * np.pi, terms)
    strength = rng.normal(0, 1, terms) / np.sqrt(terms / 2)
    grid = np.linspace(-np.pi, np.pi, 4 * terms * 4 + 1)
    curve = (strength[:, None] * np.cos(order[:, None] * grid + phase[:, None])).sum(0)
    result: FloatArray = np.interp(angle, grid, curve).astype(np.float32)
    return result
