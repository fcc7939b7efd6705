"""Reproducible random numbers: every purpose and step has a generator of its own."""

from __future__ import annotations

import numpy as np


def generator(seed: int, purpose: str, step: int) -> np.random.Generator:
    """Generator for one step of one purpose; the same arguments give the same numbers."""
    return np.random.default_rng([seed, *purpose.encode(), step])
