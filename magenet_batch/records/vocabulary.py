"""The fixed words of rows and the sentences that explain them."""

from __future__ import annotations

from typing import Literal

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
