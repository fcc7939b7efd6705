"""Sampling degradations: presets say how likely and how strong each kind is.

Ranges follow Shen et al. (Modeling and Enhancing Low-quality Retinal Fundus Images, IEEE TMI 2020)
where they are sound, and go beyond them where photographs of patients with cataract do: veils of
haze, yellowing, one-sided crescents of light, dark centres, sensor noise and compression.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from magenet_batch.degradation.params import KINDS, DegradationParams, Spot
from magenet_batch.errors import UsageError, nearest

# Colours of leaked light: the two tints of Shen et al., warm white, and the yellow-green and orange
# of flare seen in photographs through a cataract.
_LEAK_RGB = np.array(
    [(0.55, 0.93, 0.93), (0.69, 0.76, 0.58), (1.0, 0.95, 0.8), (0.85, 0.9, 0.45), (1.0, 0.7, 0.35)]
)
_VEIL_RGB = np.array([(0.62, 0.6, 0.52), (0.72, 0.62, 0.42), (0.55, 0.6, 0.6), (0.6, 0.62, 0.4)])


@dataclass(frozen=True)
class Preset:
    """How often and how strongly to degrade.

    Attributes:
        probability: kind -> chance that it is present, 0..1.
        severity: range from which one severity per image is drawn, 0..1; it scales every kind.
        untouched: chance that an image is left exactly as it is.
        single: chance that of the kinds drawn only one remains.
    """

    probability: dict[str, float] = field(default_factory=dict)
    severity: tuple[float, float] = (0.0, 1.0)
    untouched: float = 0.0
    single: float = 0.0

    def only(self, kind: str) -> Preset:
        """This preset with a single kind, always present.

        Raises:
            UsageError: if there is no such kind.
        """
        if kind not in KINDS:
            raise UsageError(f"no degradation is called '{kind}'; {nearest(kind, KINDS)}")
        return replace(self, probability={kind: 1.0}, untouched=0.0, single=0.0)


PRESETS: dict[str, Preset] = {
    # Broad, many of them light or single: to do nothing where nothing is wrong is learned too.
    "train": Preset(
        {"colour": 0.5, "gradient": 0.25, "halo": 0.3, "hole": 0.25, "blur": 0.5, "spots": 0.25,
         "haze": 0.4, "yellow": 0.3, "noise": 0.4, "jpeg": 0.25},
        severity=(0.1, 1.0), untouched=0.05, single=0.2,
    ),
    "evaluation": Preset(
        {"colour": 0.8, "gradient": 0.4, "halo": 0.4, "hole": 0.4, "blur": 0.7, "spots": 0.4,
         "haze": 0.5, "yellow": 0.4, "noise": 0.5, "jpeg": 0.3},
        severity=(0.3, 0.85),
    ),
    # The ranges of the published code: light transmission disturbance, blur, artefacts.
    "mild": Preset(
        {"colour": 0.9, "halo": 0.5, "hole": 0.5, "blur": 0.7, "spots": 0.5}, severity=(0.2, 0.7),
    ),
    # For the last stage alone: faults that a neighbourhood shows, and often none at all.
    "detail": Preset(
        {"colour": 0.4, "gradient": 0.2, "halo": 0.2, "hole": 0.2, "blur": 0.5, "spots": 0.1,
         "haze": 0.4, "yellow": 0.2, "noise": 0.5, "jpeg": 0.3},
        severity=(0.1, 1.0), untouched=0.45, single=0.3,
    ),
    # What a student sees of a real image in place of what its teacher sees.
    "strong_view": Preset(
        {"colour": 0.5, "gradient": 0.3, "blur": 0.4, "haze": 0.3, "noise": 0.6, "spots": 0.2},
        severity=(0.05, 0.45),
    ),
    "weak_view": Preset({"noise": 1.0}, severity=(0.0, 0.1)),
}  # fmt: skip


def preset(name: str) -> Preset:
    """The preset of this name; `evaluation:blur` is the evaluation preset with blur alone.

    Raises:
        UsageError: if there is no such preset or kind.
    """
    base, _, kind = name.partition(":")
    if base not in PRESETS:
        raise UsageError(f"no degradation preset is called '{base}'; {nearest(base, PRESETS)}")
    return PRESETS[base].only(kind) if kind else PRESETS[base]


def sample_degradation(rng: np.random.Generator, how: Preset) -> DegradationParams:
    """Draw one degradation.

    Args:
        rng: the only source of randomness.
        how: what to draw from.

    Returns:
        Parameters that replay to the same pixels.
    """
    severity = float(rng.uniform(*how.severity))
    chosen = [kind for kind in KINDS if rng.random() < how.probability.get(kind, 0.0)]
    if rng.random() < how.untouched:
        return DegradationParams()
    if chosen and rng.random() < how.single:
        chosen = [chosen[rng.integers(len(chosen))]]
    drawn: dict[str, object] = {}
    for kind in chosen:
        drawn |= _SAMPLERS[kind](rng, severity)
    return DegradationParams(**drawn)  # type: ignore[arg-type]


def _span(rng: np.random.Generator, severity: float, low: float, high: float) -> float:
    """Uniform between `low` and the share `severity` of the way from `low` to `high`."""
    return float(low + (high - low) * severity * rng.uniform(0.35, 1.0))


def _colour(rng: np.random.Generator, s: float) -> dict[str, object]:
    # Shen et al.: brightness 0.7..1.2, contrast and saturation 0.6..1.4; here down to 0.45, because
    # under-exposure of real archives goes there.
    def around_one(down: float, up: float) -> float:
        share = s * rng.uniform(0.2, 1.0)
        return float(1.0 - down * share if rng.random() < 0.6 else 1.0 + up * share)

    return {
        "brightness": around_one(0.5, 0.3),
        "contrast": around_one(0.45, 0.4),
        "saturation": around_one(0.45, 0.4),
    }


def _gradient(rng: np.random.Generator, s: float) -> dict[str, object]:
    return {
        "gradient_angle": float(rng.uniform(0, 2 * np.pi)),
        "gradient_strength": _span(rng, s, 0.1, 0.8),
    }


def _halo(rng: np.random.Generator, s: float) -> dict[str, object]:
    # An annulus about the centre, or a crescent: an annulus whose centre lies to one side.
    crescent = rng.random() < 0.5
    offset = rng.uniform(0.15, 0.5) if crescent else rng.uniform(0.0, 0.125)
    angle = rng.uniform(0, 2 * np.pi)
    return {
        "halo_x": float(0.5 + offset * np.cos(angle)),
        "halo_y": float(0.5 + offset * np.sin(angle)),
        "halo_radius": float(rng.uniform(0.36, 0.6)),
        "halo_width": float(rng.uniform(0.03, 0.16)),
        "halo_strength": _span(rng, s, 0.05, 0.6),
        "halo_rgb": _jittered(rng, _LEAK_RGB),
    }


def _hole(rng: np.random.Generator, s: float) -> dict[str, object]:
    dark = rng.random() < 0.75
    return {
        "hole_x": float(rng.uniform(0.25, 0.75)),
        "hole_y": float(rng.uniform(0.3, 0.7)),
        "hole_radius": float(rng.uniform(0.15, 0.38)),
        "hole_strength": _span(rng, s, 0.05, 0.35) * (-1 if dark else 0.7),
        "hole_softness": float(rng.uniform(0.4, 1.2)),
    }


def _blur(rng: np.random.Generator, s: float) -> dict[str, object]:
    return {"blur_sigma": _span(rng, s, 0.0006, 0.013)}


def _spots(rng: np.random.Generator, s: float) -> dict[str, object]:
    def one() -> Spot:
        sign = 1.0 if rng.random() < 0.6 else -1.0
        return Spot(
            x=float(rng.uniform(0.05, 0.95)),
            y=float(rng.uniform(0.05, 0.95)),
            radius=float(rng.uniform(0.01, 0.05)),
            amplitude=sign * _span(rng, s, 0.04, 0.3),
        )

    return {"spots": tuple(one() for _ in range(int(rng.integers(5, 21))))}


def _haze(rng: np.random.Generator, s: float) -> dict[str, object]:
    even = rng.random() < 0.4
    return {
        "haze_strength": _span(rng, s, 0.08, 0.88),
        "haze_rgb": _jittered(rng, _VEIL_RGB),
        "haze_x": float(rng.uniform(0.2, 0.8)),
        "haze_y": float(rng.uniform(0.2, 0.8)),
        "haze_spread": float(3.0 if even else rng.uniform(0.25, 0.8)),
    }


def _yellow(rng: np.random.Generator, s: float) -> dict[str, object]:
    return {"yellow": _span(rng, s, 0.1, 1.0)}


def _noise(rng: np.random.Generator, s: float) -> dict[str, object]:
    return {
        "noise_read": _span(rng, s, 0.002, 0.03),
        "noise_shot": _span(rng, s, 0.0, 0.0012),
        "noise_seed": int(rng.integers(0, 2**31)),
    }


def _jpeg(rng: np.random.Generator, s: float) -> dict[str, object]:
    return {"jpeg_quality": round(95 - _span(rng, s, 0.0, 70.0))}


def _jittered(rng: np.random.Generator, colours: np.ndarray) -> tuple[float, float, float]:
    """One of these colours, every channel scaled a little: values 0..1."""
    colour = colours[rng.integers(len(colours))] * rng.uniform(0.85, 1.15, 3)
    red, green, blue = np.clip(colour, 0, 1).tolist()
    return red, green, blue


_SAMPLERS = {
    "colour": _colour, "gradient": _gradient, "halo": _halo, "hole": _hole, "blur": _blur,
    "spots": _spots, "haze": _haze, "yellow": _yellow, "noise": _noise, "jpeg": _jpeg,
}  # fmt: skip
