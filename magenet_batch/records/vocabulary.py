"""The fixed words of rows, and the sentences that explain them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

STATUSES = ("enhanced", "kept", "withheld", "assessed", "failed")
"""Outcome of an image: delivered enhanced; delivered as it came; enhancement withheld; only
measured; failed. Every row has exactly one of them."""
GRADES = ("good", "usable", "reject")
"""The EyeQ quality scale (Fu et al., MICCAI 2019), best first."""

KeptReason = Literal["good", "unchanged", "no_gain", "not_colour", "not_fundus", "several_fields"]
KEPT_REASONS: dict[str, str] = {
    "good": "its grade is good: it is delivered as it came",
    "unchanged": "enhancing it would change nothing visible: it is delivered as it came",
    "no_gain": "enhancing it raised neither vessels nor grade: it is delivered as it came",
    "not_colour": "it is grey, and colours cannot be restored: --grey enhance enhances it in grey",
    "not_fundus": "it does not look like a photograph of a retina",
    "several_fields": "it shows several fields of view: cut it into one image each",
}
"""Why an image is delivered as it came: `reason` of its row, and the sentence in `message`."""

WithheldReason = Literal[
    "reject", "hopeless", "low_fidelity", "invented", "contrast_fell", "lesion_faded",
    "macula_faded", "darkened", "grade_fell", "reviewer",
]  # fmt: skip
WITHHELD_REASONS: dict[str, str] = {
    "reject": "its grade is reject: too degraded to restore",
    "hopeless": "hardly any vessel is visible: too degraded to restore",
    "invented": "the enhanced image showed structure where the original had none",
    "low_fidelity": "the enhanced image altered the anatomy",
    "contrast_fell": "the enhanced image showed the vessels with less contrast than the original",
    "lesion_faded": "a dark or bright area lost contrast in the enhanced image",
    "macula_faded": "the macula lost contrast in the enhanced image",
    "darkened": "a part of the enhanced image was much darker than in the original",
    "grade_fell": "the enhanced image had a worse grade than the original",
    "reviewer": "a reviewer withheld the enhanced image",
}
"""Why an image is withheld: `reason` of its row, and the sentence in `message`. All but `reject`
and `hopeless` say what was wrong with the enhanced image, in whose place the original is delivered.
"""

SPOTS_LEFT = "its dust was left: without it, a dark or bright area lost contrast"
"""The sentence in `message` of an enhanced image from which dust was not taken away."""

NEVER_ENHANCED = ("reject", "hopeless")
"""Why an image is withheld without being enhanced: there is nothing that could be delivered."""
DECISIONS = ("deliver", "withhold")
"""What a reviewer can decide of an image that was enhanced."""

BECAUSE: dict[str, str] = {
    "good": "already good",
    "unchanged": "nothing visible to gain",
    "no_gain": "nothing gained",
    "reject": "graded reject",
    "hopeless": "almost nothing visible",
    "not_colour": "grey",
    "not_fundus": "not a fundus photograph",
    "several_fields": "several fields of view",
    "low_fidelity": "the anatomy was altered",
    "invented": "structure where there was none",
    "contrast_fell": "vessels lost contrast",
    "lesion_faded": "an area lost contrast",
    "macula_faded": "the macula faded",
    "darkened": "a part went dark",
    "grade_fell": "the grade fell",
    "reviewer": "by a reviewer",
}
"""Why an image was kept or withheld, in the few words of a report, by reason."""

FLAGS_MEAN: dict[str, str] = {
    "new_vessels": "vessels that were not there before",
    "lost_vessels": "vessels that are gone",
    "new_lesion": "a spot of the size of a lesion that was not there before",
    "lost_lesion": "a spot of the size of a lesion that is gone",
    "colour_shift": "the colours changed more than a lifted veil explains",
    "low_agreement": "vessel maps before and after overlap little",
    "low_fidelity": "the anatomy may have been altered",
    "invented": "structure where there was none",
    "contrast_fell": "vessels stand out less than before",
    "lesion_faded": "a dark or bright area stands out less than before",
    "macula_faded": "the macula stands out less than before",
    "darkened": "a part of the image is much darker than before",
    "grade_fell": "the grade is worse than before",
    "not_colour": "a grey photograph",
    "not_fundus": "possibly not a photograph of a retina",
    "several_fields": "several fields of view in one image",
}
"""What a reviewer should look for, by flag; flags that are missing here explain themselves."""

_FAULTS: tuple[tuple[str, tuple[tuple[float, str], ...]], ...] = (
    ("estimated_blur", ((4.0, "strong blur"), (1.8, "soft focus"))),
    ("estimated_noise", ((2.5, "strong noise"), (1.0, "noise"))),
    ("estimated_compression", ((0.5, "heavy compression"),)),
    ("estimated_veil", ((0.45, "a dense veil"), (0.15, "a veil"))),
    ("estimated_unevenness", ((0.3, "very uneven light"), (0.12, "uneven light"))),
    ("estimated_spots", ((0.02, "much dust or droplets"), (0.0005, "dust or droplets"))),
)
"""Values of a column from which on it is named, and the words; the strongest word first."""


def can_be_reviewed(status: str | None, reason: str | None) -> bool:
    """Whether a reviewer can decide about an image: whether there is an enhanced one to judge."""
    return status == "enhanced" or (status == "withheld" and reason not in NEVER_ENHANCED)


def waits_for_review(
    status: str | None, reason: str | None, *, flagged: bool, decision: str | None
) -> bool:
    """Whether a person should look at an image: delivered with a flag, or its result withheld."""
    judged = can_be_reviewed(status, reason) and not decision
    return judged and (flagged or status == "withheld")


def faults_in_words(row: Mapping[str, Any]) -> str:
    """Say what was wrong with an image, as estimated: "soft focus and a veil".

    Args:
        row: a row; missing or null estimates are skipped.

    Returns:
        Words joined by commas and "and"; empty if nothing stands out.
    """
    named = []
    for column, words in _FAULTS:
        value = row.get(column)
        word = next((w for least, w in words if value is not None and value >= least), None)
        if word is not None:
            named.append(word)
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
