"""Presets: how likely and how strong each kind of degradation is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from magenet_batch.degradation.registry import kind_called
from magenet_batch.errors import UsageError, nearest


@dataclass(frozen=True)
class Preset:
    """How often and how strongly to degrade.

    Attributes:
        probability: probability of each kind, 0..1, by name.
        severity: range from which one severity per image is drawn, 0..1; it scales every kind.
        untouched: probability that an image is not degraded at all.
        single: probability that only one of the drawn kinds is applied.
        ways: `plain`, or `camera` for degradations as cameras produce them: blur of every shape,
            correlated noise, JPEG files.
    """

    probability: dict[str, float] = field(default_factory=dict)
    severity: tuple[float, float] = (0.0, 1.0)
    untouched: float = 0.0
    single: float = 0.0
    ways: Literal["plain", "camera"] = "plain"

    def only(self, kind: str) -> Preset:
        """This preset with a single kind, which is always present.

        Raises:
            UsageError: there is no such kind.
        """
        name = kind_called(kind).name
        return replace(self, probability={name: 1.0}, untouched=0.0, single=0.0)


_EVALUATION = Preset(
    {"colour": 0.8, "gradient": 0.4, "halo": 0.4, "hole": 0.4, "blur": 0.7, "spots": 0.4,
     "haze": 0.5, "yellow": 0.4, "noise": 0.5, "jpeg": 0.3},
    severity=(0.3, 0.85),
)  # fmt: skip

PRESETS: dict[str, Preset] = {
    # Broad, and often light or single: the network must also learn to leave good images alone.
    "train": Preset(
        {"colour": 0.5, "gradient": 0.25, "halo": 0.3, "hole": 0.25, "blur": 0.5, "spots": 0.25,
         "haze": 0.4, "yellow": 0.3, "noise": 0.4, "jpeg": 0.25},
        severity=(0.1, 1.0), untouched=0.05, single=0.2,
    ),
    "evaluation": _EVALUATION,
    "camera_evaluation": replace(_EVALUATION, ways="camera"),
    # The ranges of the published code: light transmission disturbance, blur, artefacts.
    "mild": Preset(
        {"colour": 0.9, "halo": 0.5, "hole": 0.5, "blur": 0.7, "spots": 0.5}, severity=(0.2, 0.7),
    ),
    # Blur, noise and compression as cameras make them, very light to severe: no faults of light.
    "sensor": Preset(
        {"blur": 0.7, "noise": 0.7, "jpeg": 0.5},
        severity=(0.03, 1.0), untouched=0.12, single=0.3, ways="camera",
    ),
    # Faults of light, which the light stage undoes, with other faults that it must leave alone.
    "light": Preset(
        {"colour": 0.5, "gradient": 0.35, "halo": 0.35, "hole": 0.3, "haze": 0.5, "yellow": 0.3,
         "blur": 0.3, "spots": 0.3, "noise": 0.2, "scatter": 0.35},
        severity=(0.05, 1.0), untouched=0.25, single=0.35,
    ),
    # Dust and droplets alone, from hardly visible to strong.
    "spots": Preset({"spots": 1.0}, severity=(0.05, 1.0)),
    # The same for whole images at full resolution, with more of the faults of the sensor, which
    # show in their statistics.
    "whole": Preset(
        {"colour": 0.5, "gradient": 0.35, "halo": 0.35, "hole": 0.3, "haze": 0.5, "yellow": 0.3,
         "blur": 0.5, "spots": 0.3, "noise": 0.4, "jpeg": 0.3},
        severity=(0.05, 1.0), untouched=0.25, single=0.35, ways="camera",
    ),
    # For the last stage alone: faults that show in a neighbourhood, and often none at all.
    "detail": Preset(
        {"colour": 0.4, "gradient": 0.2, "halo": 0.2, "hole": 0.2, "blur": 0.5, "spots": 0.1,
         "haze": 0.4, "yellow": 0.2, "noise": 0.5, "jpeg": 0.3},
        severity=(0.1, 1.0), untouched=0.45, single=0.3,
    ),
    # The student's view of a real image, compared with what the teacher sees.
    "strong_view": Preset(
        {"colour": 0.5, "gradient": 0.3, "blur": 0.4, "haze": 0.3, "noise": 0.6, "spots": 0.2},
        severity=(0.05, 0.45),
    ),
    "weak_view": Preset({"noise": 1.0}, severity=(0.0, 0.1)),
}  # fmt: skip


def preset(name: str) -> Preset:
    """The preset of this name; `evaluation:blur` is the evaluation preset with blur alone.

    Raises:
        UsageError: there is no such preset or kind.
    """
    base, _, kind = name.partition(":")
    if base not in PRESETS:
        raise UsageError(f"No degradation preset is named '{base}': {nearest(base, PRESETS)}.")
    return PRESETS[base].only(kind) if kind else PRESETS[base]
