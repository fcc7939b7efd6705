"""What is delivered: the enhanced image, the same with its dust, or the original."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.jobs.policy import Policy
from magenet_batch.jobs.work.measuring import EnhancementLike, VesselDetector, measure_change
from magenet_batch.records.schema import Row
from magenet_batch.records.vocabulary import KeptReason, WithheldReason


@dataclass(frozen=True)
class Decision:
    """What a policy says of an enhanced image.

    Attributes:
        enhanced: the enhanced image that was decided on.
        measured: output of `measure_change` for it.
        kept: why it is not delivered; None if it is.
        spots_left: whether it still has its dust, because without it a lesion seemed to fade.
    """

    enhanced: EnhancementLike
    measured: Row
    kept: KeptReason | WithheldReason | None
    spots_left: bool = False


def decide(
    pixels: np.ndarray,
    enhanced: EnhancementLike,
    fov: FieldOfView,
    *,
    before: Row,
    policy: Policy,
    detector: VesselDetector,
    with_spots: Callable[[], EnhancementLike],
) -> Decision:
    """Measure an enhanced image and decide whether it is delivered.

    Dust can look like a lesion to the measures, and then a lesion seems to fade with it. If the
    same image with its dust can be delivered, it is.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16, the original.
        enhanced: result of the enhancer.
        fov: the field of view.
        before: the row so far, with the output of `measure_before`.
        policy: the policy.
        detector: as for `measure_change`.
        with_spots: enhances the original once more and leaves its dust; called only if dust was
            taken away and a lesion faded.
    """

    def decided(seen: EnhancementLike, *, spots_left: bool) -> Decision:
        measured = measure_change(pixels, seen, fov, before=before, detector=detector)
        return Decision(seen, measured, policy.after(before | measured), spots_left)

    first = decided(enhanced, spots_left=False)
    if first.kept != "lesion_faded" or not first.measured.get("estimated_spots"):
        return first
    second = decided(with_spots(), spots_left=True)
    if second.kept is not None:
        return first
    second.measured["estimated_spots"] = first.measured["estimated_spots"]
    return second
