"""Fidelity: how far the enhanced image kept the anatomy of its original.

Shares of the whole say little of one vessel or one lesion, so beside them stand the longest stretch
of vessel and the strongest spot that are on one side only. `overall_fidelity` takes the worst.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from magenet_batch.imaging.colour import resize_area, to_float, to_lab
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.quality.equal_sharpness import Copies, Sharpness
from magenet_batch.quality.lesions import lesion_changes
from magenet_batch.quality.limits import LIMITS

_SURE, _POSSIBLE = 0.5, 0.25  # a vessel is there; a vessel may be there
_NEAR = 3  # pixels of the vessel map within which two vessels are the same
_LEAST_LENGTH = 20  # pixels of vessel below which nothing can be said
RIM = 0.03  # radii from the edge of the field of view within which edges pass for vessels
_SCALE = 512  # longest side at which colours are compared
_DOUBTFUL = 0.8  # fidelity below which images are compared again at equal sharpness


Changes = dict[str, float | None]


def measure_fidelity(
    before: np.ndarray,
    after: np.ndarray,
    fov: FieldOfView,
    *,
    vessels_before: np.ndarray,
    vessels_after: np.ndarray,
    sharpness: Sharpness | None = None,
) -> dict[str, float | None]:
    """Hold an enhanced image against its original.

    Args:
        before: (H, W, 3) RGB, uint8 or uint16.
        after: the same shape and type.
        fov: the field of view of both.
        vessels_before: (h, w) float32 probability of vessel in the original, whole picture.
        vessels_after: the same of the enhanced image.
        sharpness: how sharp the original is; where it is blurred or noisy, images that differ are
            compared again at equal sharpness. None compares them as they are.

    Returns:
        The keys of `schema.FIDELITY_MEASURES`; None where there is no vessel to speak of.
    """
    colours = _colour_changes(before, after, fov)
    row = _vessel_changes(vessels_before, vessels_after, fov)
    lesions = lesion_changes(before, after, fov)
    row |= {key: lesions[key] for key in ("lesion_new", "lesion_lost")}
    row |= {"colour_shift": colours["colour_shift"], "lesion_contrast": lesions["lesion_contrast"]}
    row["change"] = colours["change"]
    fidelity = overall_fidelity(row)
    doubtful = fidelity is not None and fidelity < _DOUBTFUL
    if doubtful and sharpness is not None and sharpness.matters:
        row |= _at_equal_sharpness(before, after, fov, sharpness)
        fidelity = overall_fidelity(row)
    return {**row, "fidelity": fidelity}


def _vessel_changes(before: np.ndarray, after: np.ndarray, fov: FieldOfView) -> Changes:
    """What two maps of vessels, (h, w) float32 over the whole picture, differ in."""
    mask = fov.without_rim(RIM).mask(*before.shape)
    old, new = before * mask, after * mask
    radius = max(1.0, 2 * fov.radius * before.shape[1] / fov.width) / 2
    return {
        "structure_agreement": soft_dice(old, new),
        "vessel_new": unmatched_length(new, old),
        "vessel_lost": unmatched_length(old, new),
        "vessel_new_longest": longest_unmatched(new, old, radius=radius),
        "vessel_lost_longest": longest_unmatched(old, new, radius=radius),
    }


def _at_equal_sharpness(
    before: np.ndarray, after: np.ndarray, fov: FieldOfView, sharpness: Sharpness
) -> Changes:
    """Changes of vessels and spots on copies of equal sharpness."""
    copies = Copies.of(before, after, fov, sharpness)
    maps = [sharpness.vessels(x, copies.fov) for x in (copies.before, copies.after, copies.blurred)]
    found: Changes = {}
    if all(m is not None for m in maps):
        old, new, blurred = maps
        assert old is not None and new is not None and blurred is not None
        found, hidden = (_vessel_changes(old, m, copies.fov) for m in (new, blurred))
        agreements = (found["structure_agreement"], hidden["structure_agreement"])
        found |= {name: hidden[name] for name in ("vessel_new", "vessel_new_longest")}
        found["structure_agreement"] = max((a for a in agreements if a is not None), default=None)
    lost = lesion_changes(copies.before, copies.after, copies.fov)["lesion_lost"]
    appeared = lesion_changes(copies.before, copies.blurred, copies.fov)["lesion_new"]
    return found | {"lesion_lost": lost, "lesion_new": appeared}


def overall_fidelity(row: Mapping[str, float | None]) -> float | None:
    """The worst of all that was compared with the original, 0..1.

    Every measure x with its limit L from `LIMITS` scores 1 / (1 + (x / L)^2): 1 where nothing
    changed, one half at the limit, a fifth at twice the limit. The least score counts, because a
    good mean does not make up for one invented vessel.

    Args:
        row: the measures; those that are None or missing do not count.

    Returns:
        None where nothing could be measured.
    """
    agreement = row.get("structure_agreement")
    values = {**row, "disagreement": None if agreement is None else 1 - agreement}
    found = ((values.get(name), limit) for name, limit in LIMITS.items())
    scores = [1 / (1 + (value / limit) ** 2) for value, limit in found if value is not None]
    return min(scores, default=None)


def soft_dice(a: np.ndarray, b: np.ndarray) -> float | None:
    """2 sum(ab) / (sum(a^2) + sum(b^2)) of two maps (Milletari et al., 3DV 2016), 0..1."""
    total = float((a * a).sum() + (b * b).sum())
    return None if total < 1 else 2 * float((a * b).sum()) / total


def unmatched_length(a: np.ndarray, b: np.ndarray) -> float | None:
    """Share of the length of the vessels that are surely in `a` with none near that may be in `b`.

    The two thresholds keep a vessel that was faint and became clear from counting as new.
    """
    lines, alone = _unmatched(a, b)
    length = int(lines.sum())
    return None if length < _LEAST_LENGTH else float(alone.sum()) / length


def longest_unmatched(a: np.ndarray, b: np.ndarray, *, radius: float) -> float | None:
    """The longest connected stretch of `unmatched_length`, in radii of the field of view.

    Args:
        a: (h, w) float32 probability of vessel.
        b: the same.
        radius: of the field of view in these maps, pixels.
    """
    lines, alone = _unmatched(a, b)
    if lines.sum() < _LEAST_LENGTH:
        return None
    # A morphological skeleton has gaps: stretches that nearly touch are one.
    joined = cv2.dilate(alone.astype(np.uint8), np.ones((5, 5), np.uint8))
    count, labels = cv2.connectedComponents(joined)
    if count < 2:
        return 0.0
    points = [np.argwhere(alone & (labels == k)) for k in range(1, count)]
    return max(float(np.linalg.norm(np.ptp(p, axis=0) + 1)) for p in points) / radius


def _unmatched(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lines of `a`, and those of them with nothing near in `b`; both (h, w) bool."""
    lines = skeleton(a > _SURE)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _NEAR + 1, 2 * _NEAR + 1))
    near = cv2.dilate((b > _POSSIBLE).astype(np.uint8), kernel) > 0
    return lines, lines & ~near


def skeleton(shape: np.ndarray) -> np.ndarray:
    """The morphological skeleton (Lantuejoul 1978): what openings remove at each erosion.

    Args:
        shape: (h, w) bool.

    Returns:
        (h, w) bool.
    """
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    left = shape
    lines = np.zeros(shape.shape, bool)
    while left.any():
        smaller = cv2.erode(left.astype(np.uint8), cross, borderValue=0)
        lines |= left & (cv2.dilate(smaller, cross) == 0)
        left = smaller > 0
    return lines


def _colour_changes(
    before: np.ndarray, after: np.ndarray, fov: FieldOfView
) -> dict[str, float | None]:
    """Slow colour difference (CIE76 dE) and mean absolute change of values, 0..1."""
    height, width = before.shape[:2]
    scale = min(1.0, _SCALE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    old, new = (to_float(resize_area(x, *size)) for x in (before, after))
    mask = fov.mask(size[1], size[0])
    if not mask.any():
        return {"colour_shift": None, "change": None}
    weight = cv2.blur(mask.astype(np.float32), (33, 33))[..., None]

    def slow(rgb: np.ndarray) -> np.ndarray:
        return to_lab(cv2.blur(rgb * mask[..., None], (33, 33)) / np.maximum(weight, 1e-3))

    shift = np.linalg.norm(slow(new) - slow(old), axis=2)
    return {
        "colour_shift": float(shift[mask].mean()),
        "change": float(np.abs(new - old)[mask].mean()),
    }
