"""Every limit of what is said of an enhanced image against its original: one place for all.

How they were chosen, and what they catch and what they raise falsely on images on which they were
not chosen, is in docs/quality.md; `studies/planting.py` and `studies/fading.py` measure it again.
"""

from __future__ import annotations

LIMITS: dict[str, float] = {
    "vessel_new": 0.03,
    "vessel_lost": 0.02,
    "vessel_new_longest": 0.06,
    "vessel_lost_longest": 0.04,
    "lesion_new": 0.11,
    "lesion_lost": 0.15,
    "wrong_colour": 18.0,
    "disagreement": 0.15,
}
"""Measure -> its value at which fidelity is one half; `disagreement` is 1 - structure_agreement.

What few honest outputs reach and most planted inventions, losses and casts do."""

LEAST: dict[str, float] = {
    "vessel_contrast": 0.97,
    "area_contrast": 0.90,
    "macula_contrast": 0.80,
}
"""Measure of contrast, after over before -> below which something has faded."""

MOST: dict[str, float] = {
    "new_structure": 0.04,
    "darkened": 0.04,
}
"""Measure -> above which a surface was painted, or a part of the image gone dark."""

LEAST_SEEN = 0.27
"""`vessels_seen` below which a picture is a plain surface: there is nothing to restore."""
