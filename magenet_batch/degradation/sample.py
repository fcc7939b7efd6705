"""Sample degradations from a preset.

Ranges follow Shen et al. (Modeling and Enhancing Low-quality Retinal Fundus Images, IEEE TMI 2020)
where they are sound, and exceed them where photographs of patients with cataract do: veils of haze,
yellowing, one-sided crescents of light, dark centres, sensor noise and compression. The file of
each kind states its own.
"""

from __future__ import annotations

import numpy as np

from magenet_batch.degradation.params import DegradationParams
from magenet_batch.degradation.presets import PRESETS, Preset, preset
from magenet_batch.degradation.registry import KINDS, kind_called

__all__ = ["PRESETS", "Preset", "preset", "sample_degradation"]

# The published presets draw a number for each of these kinds even if it is absent. Kinds that were
# added later draw none for presets without them, so that samples of those presets stay the same.
_ALWAYS_DRAWN = frozenset(
    ("colour", "gradient", "halo", "hole", "blur", "spots", "haze", "yellow", "noise", "jpeg")
)


def sample_degradation(rng: np.random.Generator, how: Preset) -> DegradationParams:
    """Draw one degradation.

    Args:
        rng: the only source of randomness.
        how: the preset to draw from.

    Returns:
        Parameters that replay to the same pixels.
    """
    severity = float(rng.uniform(*how.severity))
    drawn = [kind for kind in KINDS if kind in _ALWAYS_DRAWN or kind in how.probability]
    chosen = [kind for kind in drawn if rng.random() < how.probability.get(kind, 0.0)]
    if rng.random() < how.untouched:
        return DegradationParams()
    if chosen and rng.random() < how.single:
        chosen = [chosen[rng.integers(len(chosen))]]
    values: dict[str, object] = {}
    for name in chosen:
        kind = kind_called(name)
        sample = kind.camera if how.ways == "camera" and kind.camera else kind.sample
        values |= vars(sample(rng, severity))
    return DegradationParams(**values)  # type: ignore[arg-type]
