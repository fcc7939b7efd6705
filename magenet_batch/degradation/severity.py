"""Severity of a degradation as one number: the scale on which quality grades are fitted."""

from __future__ import annotations

from magenet_batch.degradation.params import DegradationParams
from magenet_batch.degradation.registry import REGISTRY

GOOD_BELOW, REJECT_FROM = 0.2, 0.6
"""Severity below which a sharp photograph counts as good, and from which it counts as reject."""


def severity(params: DegradationParams) -> float:
    """Share of the visible information in a sharp photograph that a degradation removes, 0..1.

    Each kind removes its share of what the others leave: 1 - prod(1 - loss). The losses, which the
    file of each kind states, are a definition, not a measurement: a blur of 1/200 of the height
    removes 63 % (motion of that length 51 %), a veil 0.8 of its density (0.7 if it is local), the
    darkest exposure 60 %, the strongest yellowing 35 %, one-sided light 45 % of its strength,
    leaked light 50 %, spots, noise and compression a maximum of 30, 25 and 25 %.
    """
    left = 1.0
    for kind in REGISTRY:
        for loss in kind.losses(params):
            left *= 1 - min(max(loss, 0.0), 0.95)
    return 1 - left
