"""The parameters of one degradation: sampled once, recorded, exactly replayable.

Lengths are fractions of the image height and positions are fractions of height and width from the
top left corner, so that the same parameters describe the same corruption at every resolution.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

KINDS: tuple[str, ...] = (
    "colour", "gradient", "halo", "hole", "blur", "spots", "haze", "yellow", "noise", "jpeg",
)  # fmt: skip
"""Every kind of corruption, in the order in which reports list them."""


@dataclass(frozen=True)
class Spot:
    """One soft artefact: dust or a droplet on the lens.

    Attributes:
        x: centre from the left, fraction of the width.
        y: centre from the top, fraction of the height.
        radius: Gaussian radius (two standard deviations), fraction of the height.
        amplitude: added intensity, -1..1; negative is a dark spot.
    """

    x: float
    y: float
    radius: float
    amplitude: float


@dataclass(frozen=True)
class DegradationParams:
    """One corruption of one image. The defaults change nothing.

    Attributes:
        brightness: factor on all channels.
        contrast: factor on the distance from the mean lightness.
        saturation: factor on the distance from grey.
        gradient_angle: direction of one-sided light, radians.
        gradient_strength: 0..1; light falls by this share from one side to the other.
        halo_x: centre of the annulus of leaked light, fraction of the width (may lie outside).
        halo_y: the same, fraction of the height.
        halo_radius: radius of the annulus, fraction of the height.
        halo_width: its Gaussian half width, fraction of the height.
        halo_strength: added light at its crest, 0..1.
        halo_rgb: its colour.
        hole_x: centre of the disc of uneven exposure.
        hole_y: the same from the top.
        hole_radius: its radius, fraction of the height.
        hole_strength: added light inside, negative is dark.
        hole_softness: width of its edge relative to its radius.
        blur_sigma: standard deviation of the Gaussian blur, fraction of the height.
        spots: soft artefacts.
        haze_strength: 1 - transmission of the veil at its densest, 0..1.
        haze_rgb: colour of the veil.
        haze_x: where the veil is densest, fraction of the width.
        haze_y: the same, fraction of the height.
        haze_spread: radius of the dense part, fraction of the height; large is an even veil.
        yellow: absorption of the ageing lens, 0..1.
        noise_read: signal-independent noise at 512 px height, standard deviation in [0, 1] units.
        noise_shot: signal-dependent noise: variance per unit of signal, at 512 px height.
        noise_seed: picks the noise.
        jpeg_quality: 1..100, 0 for no compression.
    """

    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    gradient_angle: float = 0.0
    gradient_strength: float = 0.0
    halo_x: float = 0.5
    halo_y: float = 0.5
    halo_radius: float = 0.5
    halo_width: float = 0.1
    halo_strength: float = 0.0
    halo_rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)
    hole_x: float = 0.5
    hole_y: float = 0.5
    hole_radius: float = 0.3
    hole_strength: float = 0.0
    hole_softness: float = 0.5
    blur_sigma: float = 0.0
    spots: tuple[Spot, ...] = ()
    haze_strength: float = 0.0
    haze_rgb: tuple[float, float, float] = (0.7, 0.7, 0.6)
    haze_x: float = 0.5
    haze_y: float = 0.5
    haze_spread: float = 2.0
    yellow: float = 0.0
    noise_read: float = 0.0
    noise_shot: float = 0.0
    noise_seed: int = 0
    jpeg_quality: int = 0

    def kinds(self) -> tuple[str, ...]:
        """Which kinds of corruption these parameters contain, in the order of `KINDS`."""
        present = {
            "colour": (self.brightness, self.contrast, self.saturation) != (1.0, 1.0, 1.0),
            "gradient": self.gradient_strength != 0,
            "halo": self.halo_strength != 0,
            "hole": self.hole_strength != 0,
            "blur": self.blur_sigma > 0,
            "spots": bool(self.spots),
            "haze": self.haze_strength > 0,
            "yellow": self.yellow > 0,
            "noise": self.noise_read > 0 or self.noise_shot > 0,
            "jpeg": self.jpeg_quality > 0,
        }
        return tuple(kind for kind in KINDS if present[kind])

    def to_record(self) -> str:
        """These parameters as one line of JSON, for a Parquet column; nothing is rounded."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_record(cls, record: str) -> DegradationParams:
        """Read what `to_record` wrote.

        Raises:
            ValueError: if the record has an unknown or malformed entry.
        """
        entries: dict[str, Any] = json.loads(record)
        unknown = entries.keys() - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"a degradation record has no entry {sorted(unknown)[0]!r}")
        entries["spots"] = tuple(Spot(**s) for s in entries.get("spots", ()))
        for name in ("halo_rgb", "haze_rgb"):
            if name in entries:
                entries[name] = tuple(entries[name])
        return cls(**entries)
