"""How bad a degradation is, in one number: the scale on which quality grades are fitted."""

from __future__ import annotations

import math

from magenet_batch.degradation.params import DegradationParams

GOOD_BELOW, REJECT_FROM = 0.3, 0.65
"""Severity up to which a sharp photograph counts as good, and from which it counts as reject."""


def severity(params: DegradationParams) -> float:
    """Share of what can be seen in a sharp photograph that a degradation takes away, 0..1.

    Each kind takes its share of what the others leave: 1 - prod(1 - loss). The losses are a
    definition, not a measurement: a blur of 1/200 of the height takes 63 %, a veil 0.8 of its
    density (0.7 of it where it is local), the darkest exposure 60 %, the strongest yellowing 35 %,
    one-sided light 45 % of its strength, leaked light 50 %, spots, noise and compression at most
    30, 25 and 25 %.
    """
    p = params
    losses = (
        1 - math.exp(-p.blur_sigma / 0.005),
        (0.8 if p.haze_spread >= 1 else 0.7) * p.haze_strength,
        0.35 * p.yellow,
        1.2 * max(0.0, 1 - p.brightness) + 1.0 * max(0.0, p.brightness - 1),
        0.6 * max(0.0, 1 - p.contrast),
        0.45 * p.gradient_strength,
        0.8 * p.halo_strength,
        0.9 * abs(p.hole_strength),
        max((abs(s.amplitude) for s in p.spots), default=0.0),
        8 * p.noise_read,
        0.25 * (95 - p.jpeg_quality) / 70 if p.jpeg_quality else 0.0,
    )
    left = 1.0
    for loss in losses:
        left *= 1 - min(max(loss, 0.0), 0.95)
    return 1 - left
