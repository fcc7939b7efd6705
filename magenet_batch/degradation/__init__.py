"""Synthetic degradation of clean fundus images: sampled, recorded, exactly replayable."""

from magenet_batch.degradation.params import KINDS, DegradationParams, Spot
from magenet_batch.degradation.presets import PRESETS, Preset, preset
from magenet_batch.degradation.sample import sample_degradation

__all__ = [
    "KINDS",
    "PRESETS",
    "DegradationParams",
    "Preset",
    "Spot",
    "preset",
    "sample_degradation",
]
