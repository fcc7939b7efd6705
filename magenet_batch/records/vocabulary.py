"""The fixed words of rows and the sentences that explain them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

STATUSES = ("enhanced", "kept", "assessed", "failed")
GRADES = ("good", "usable", "reject")
"""The EyeQ quality scale (Fu et al., MICCAI 2019), best first."""

KeptReason = Literal["good", "reject", "low_fidelity"]
KEPT_REASONS: dict[KeptReason, str] = {
    "good": "its grade is good: it is left as it is",
    "reject": "its grade is reject: what is not there cannot be restored",
    "low_fidelity": "the enhanced image did not keep the anatomy well enough to be delivered",
}
"""Why an image is kept: the word of its row's `reason`, and the sentence of its `message`."""
KEPT_BECAUSE: dict[str, str] = {
    "good": "already good",
    "reject": "graded reject",
    "low_fidelity": "enhancing would have cost fidelity",
}
"""Reason of a kept image -> why, in the few words of a report."""

FLAGS_MEAN: dict[str, str] = {
    "new_vessels": "vessels that were not there before",
    "lost_vessels": "vessels that are gone",
    "new_lesion": "a spot of the size of a lesion that was not there before",
    "lost_lesion": "a spot of the size of a lesion that is gone",
    "colour_shift": "the colours moved far",
    "low_agreement": "vessel maps before and after overlap little",
    "low_fidelity": "the anatomy may not have been kept",
}
"""Flag -> what a reviewer should look for; flags that are not here speak for themselves."""

_FAULTS: tuple[tuple[str, tuple[tuple[float, str], ...]], ...] = (
    ("estimated_blur", ((4.0, "strong blur"), (1.8, "soft focus"))),
    ("estimated_noise", ((2.5, "strong noise"), (1.0, "noise"))),
    ("estimated_compression", ((0.5, "heavy compression"),)),
    ("estimated_veil", ((0.45, "a dense veil"), (0.15, "a veil"))),
    ("estimated_unevenness", ((0.3, "very uneven light"), (0.12, "uneven light"))),
)
"""Column -> from which value on it is named, and how; the strongest word first."""


def faults_in_words(row: Mapping[str, Any]) -> str:
    """What was wrong with an image, as the network estimates it: "soft focus and a veil".

    Args:
        row: a row; missing or null estimates are passed over.

    Returns:
        Words joined by commas and "and"; empty where nothing stands out.
    """
    named = []
    for column, words in _FAULTS:
        value = row.get(column)
        word = next((w for least, w in words if value is not None and value >= least), None)
        if word is not None:
            named.append(word)
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
