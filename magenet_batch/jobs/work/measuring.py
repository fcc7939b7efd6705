"""Measurements of an image and of its change, for the rows of a job and for the Python API."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

import numpy as np

from magenet_batch.errors import ImageError
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.jobs.policy import flags_for
from magenet_batch.quality.darkening import darkened_share
from magenet_batch.quality.equal_sharpness import Sharpness
from magenet_batch.quality.fading import compare_copies
from magenet_batch.quality.fidelity import measure_fidelity
from magenet_batch.quality.grade import assess_copy
from magenet_batch.quality.measures import MeasuringCopy
from magenet_batch.quality.recognition import vessels_seen_on
from magenet_batch.records.schema import Row

if TYPE_CHECKING:
    from magenet_batch.inference.restoring import Estimates

LEAST_TO_MEASURE = 640
"""Shorter side in pixels that the measures need: see docs/quality.md."""


class EnhancementLike(Protocol):
    """Result of an enhancer."""

    @property
    def pixels(self) -> np.ndarray:
        """`(H, W, 3)`, shape and dtype of the input."""
        ...

    @property
    def vessels_before(self) -> np.ndarray | None:
        """`(h, w)` float32 vessel probability of the input, or None."""
        ...

    @property
    def vessels_after(self) -> np.ndarray | None:
        """`(h, w)` float32 vessel probability of the output, or None."""
        ...

    @property
    def estimates(self) -> Estimates | None:
        """What was wrong with the input; None if the network does not estimate it."""
        ...


def fov_of(pixels: np.ndarray) -> FieldOfView:
    """Find the field of view.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.

    Raises:
        ImageError: `no_fov`.
    """
    fov = find_fov(pixels)
    if fov is None:
        raise no_field_of_view()
    return fov


def no_field_of_view() -> ImageError:
    """The error of an image without a field of view."""
    return ImageError("no_fov", "no field of view was found: probably not a fundus photograph")


def measure_before(pixels: np.ndarray, fov: FieldOfView) -> Row:
    """Grade and measures of an original, by column name of the row.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        fov: its field of view.
    """
    copy = MeasuringCopy.of(pixels, fov)
    row: Row = {f"{name}_before": value for name, value in assess_copy(copy).items()}
    return row | {"vessels_seen": vessels_seen_on(copy)}


class VesselDetector(Protocol):
    """Detects vessels; in practice `inference.enhancer.Enhancer`."""

    def vessels(self, pixels: np.ndarray, fov: FieldOfView) -> np.ndarray | None:
        """Probability of vessel over the whole picture, `(h, w)` float32, or None."""
        ...


def measure_change(
    pixels: np.ndarray,
    enhanced: EnhancementLike,
    fov: FieldOfView,
    *,
    before: Row,
    detector: VesselDetector,
) -> Row:
    """Grade and measures after, all comparisons, estimates and flags, by column name of the row.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16, the original.
        enhanced: result of the enhancer.
        fov: the field of view.
        before: result of `measure_before`.
        detector: detects vessels in copies of both, where the original is blurred or noisy.
    """
    first, last = (MeasuringCopy.of(x, fov) for x in (pixels, enhanced.pixels))
    row: Row = {f"{name}_after": value for name, value in assess_copy(last).items()}
    before_map, after_map = enhanced.vessels_before, enhanced.vessels_after
    if before_map is not None and after_map is not None:
        row.update(
            measure_fidelity(
                pixels,
                enhanced.pixels,
                fov,
                vessels_before=before_map,
                vessels_after=after_map,
                sharpness=sharpness_of(enhanced.estimates, detector),
                copies=(first, last),
                veil=None if enhanced.estimates is None else enhanced.estimates.veil,
            )
        )
    row.update(compare_copies(first, last, vessels=before_map))
    row["darkened"] = darkened_share(first, last)
    if enhanced.estimates is not None:
        found = asdict(enhanced.estimates)
        row.update({f"estimated_{name}": value for name, value in found.items()})
    row["flags"] = flags_for(before | row)
    return row


def sharpness_of(estimates: Estimates | None, detector: VesselDetector) -> Sharpness | None:
    """How sharp an original is by the network's estimates; None without them."""
    if estimates is None:
        return None
    return Sharpness(
        blur=estimates.blur, noise=estimates.noise, compression=estimates.compression,
        vessels=detector.vessels,
    )  # fmt: skip
