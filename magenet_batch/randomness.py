"""Random numbers that can be drawn again: each use has its own generator."""

from __future__ import annotations

import numpy as np


def generator(seed: int, purpose: str, step: int) -> np.random.Generator:
    """The random numbers of one step for one purpose."""
    return np.random.default_rng([seed, *purpose.encode(), step])
