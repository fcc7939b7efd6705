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
from magenet_batch.quality.lost_lines import LostLines, find_lost_lines
from magenet_batch.quality.measures import MeasuringCopy

_SURE, _POSSIBLE = 0.5, 0.25  # a vessel is there; a vessel may be there
_NEAR = 3  # pixels of the vessel map within which two vessels are the same
_LEAST_LENGTH = 20  # pixels of vessel below which nothing can be said
RIM = 0.03  # radii from the edge of the field of view within which edges pass for vessels
_SCALE = 512  # longest side at which colours are compared
_PER_VEIL = 200.0  # a*b* units of chroma that lifting a veil of density 1 gives back
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
    copies: tuple[MeasuringCopy, MeasuringCopy] | None = None,
    veil: float | None = None,
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
        copies: both images at the measuring scale, where the caller has them.
        veil: mean density of the veil that was lifted, 0..1; None if any may have been.

    Returns:
        The keys of `schema.FIDELITY_MEASURES`; None where there is no vessel to speak of.
    """
    colours = _colour_changes(before, after, fov, veil=veil)
    old, new = copies or (MeasuringCopy.of(before, fov), MeasuringCopy.of(after, fov))
    lost = find_lost_lines(old, new)
    row = _vessel_changes(vessels_before, vessels_after, fov)
    row["vessel_lost_longest"] = _longest(row["vessel_lost_longest"], lost)
    lesions = lesion_changes(old, new)
    row |= {key: lesions[key] for key in ("lesion_new", "lesion_lost")}
    row |= {name: colours[name] for name in ("colour_shift", "wrong_colour")}
    row |= {"lesion_contrast": lesions["lesion_contrast"], "change": colours["change"]}
    fidelity = overall_fidelity(row)
    doubtful = fidelity is not None and fidelity < _DOUBTFUL
    if doubtful and sharpness is not None and sharpness.matters:
        row |= _at_equal_sharpness(Copies.of(before, after, fov, sharpness), lost)
        fidelity = overall_fidelity(row)
    return {**row, "fidelity": fidelity}


def _longest(found: float | None, lost: LostLines | None) -> float | None:
    """The longer of the stretches that the detector and the line filters miss."""
    return max((x for x in (found, lost and lost.longest()) if x is not None), default=None)


def _vessel_changes(before: np.ndarray, after: np.ndarray, fov: FieldOfView) -> Changes:
    """What two maps of vessels, (h, w) float32 over the whole picture, differ in."""
    old, new = _without_rim(fov, before, after)
    radius = _radius(fov, old)
    return {
        "structure_agreement": soft_dice(old, new),
        "vessel_new": unmatched_length(new, old),
        "vessel_lost": unmatched_length(old, new),
        "vessel_new_longest": longest_unmatched(new, old, radius=radius),
        "vessel_lost_longest": longest_unmatched(old, new, radius=radius),
    }


def _at_equal_sharpness(copies: Copies, lost: LostLines | None) -> Changes:
    """Changes of vessels and spots on copies of equal sharpness."""
    fov, spots = copies.fov, copies.for_spots()
    before, after, hazy = (MeasuringCopy.of(x, fov) for x in spots)
    found: Changes = {
        "lesion_lost": lesion_changes(before, after)["lesion_lost"],
        "lesion_new": lesion_changes(before, hazy)["lesion_new"],
    }
    lines = copies.for_lines()
    old, new, blurred = (copies.sharpness.vessels(x, fov) for x in lines)
    if old is None or new is None or blurred is None:
        return found
    found |= _witnessed(_without_rim(fov, old, new, blurred), fov, lost)
    if lost is not None:
        smooth = (MeasuringCopy.of(x, fov) for x in (lines.before, lines.after))
        found["vessel_lost_longest"] = lost.confirmed_by(find_lost_lines(*smooth)).longest()
    return found


def _witnessed(maps: list[np.ndarray], fov: FieldOfView, lost: LostLines | None) -> Changes:
    """Changes of vessels where noise draws lines: what filters do not miss is none.

    The agreement is that of the lines, with the tolerance of the other measures (F1): maps of
    noise, and of vessels that became clear, overlap little.

    Args:
        maps: (h, w) float32 probability of vessel in the original, in the enhanced image, and in
            the enhanced image blurred as the original is.
        fov: the field of view.
        lost: lines that are gone; None believes the maps.
    """
    old, new, blurred = maps
    radius = _radius(fov, old)
    lines, gone = _unmatched(old, new)
    if lost is not None:
        drawn = gone & ~lost.near(*gone.shape)
        lines, gone = lines & ~drawn, gone & ~drawn
    seen, added = _unmatched(blurred, old)
    return {
        "structure_agreement": _share(int(lines.sum() + seen.sum()), ~gone[lines], ~added[seen]),
        "vessel_new": _share(int(seen.sum()), added),
        "vessel_lost": _share(int(lines.sum()), gone),
        "vessel_new_longest": longest_unmatched(blurred, old, radius=radius),
        "vessel_lost_longest": longest_unmatched(old, new, radius=radius),
    }


def _without_rim(fov: FieldOfView, *maps: np.ndarray) -> list[np.ndarray]:
    """Maps of the whole picture, without what lies near the edge of the field of view."""
    inner = fov.without_rim(RIM)
    return [x * inner.mask(*x.shape) for x in maps]


def _radius(fov: FieldOfView, vessels: np.ndarray) -> float:
    """Radius of the field of view in a map of the whole picture, pixels."""
    diameter: float = 2 * fov.radius * vessels.shape[1] / fov.width
    return max(1.0, diameter) / 2


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
    return _share(int(lines.sum()), alone)


def _share(length: int, *places: np.ndarray) -> float | None:
    """The number of places per pixel of a length; None where there is hardly any length."""
    return None if length < _LEAST_LENGTH else sum(int(x.sum()) for x in places) / length


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
    before: np.ndarray, after: np.ndarray, fov: FieldOfView, *, veil: float | None
) -> Changes:
    """Slow differences of colour, and mean absolute change of values, 0..1."""
    height, width = before.shape[:2]
    scale = min(1.0, _SCALE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    old, new = (to_float(resize_area(x, *size)) for x in (before, after))
    mask = fov.mask(size[1], size[0])
    if not mask.any():
        return {"colour_shift": None, "wrong_colour": None, "change": None}
    weight = cv2.blur(mask.astype(np.float32), (33, 33))[..., None]

    def slow(rgb: np.ndarray) -> np.ndarray:
        lab = to_lab(cv2.blur(rgb * mask[..., None], (33, 33)) / np.maximum(weight, 1e-3))
        inside: np.ndarray = lab[mask]
        return inside

    first, last = slow(old), slow(new)
    return {
        "colour_shift": float(np.linalg.norm(last - first, axis=1).mean()),
        "wrong_colour": float(_unexplained(first[:, 1:], last[:, 1:], veil=veil).mean()),
        "change": float(np.abs(new - old)[mask].mean()),
    }


def _unexplained(before: np.ndarray, after: np.ndarray, *, veil: float | None) -> np.ndarray:
    """Differences of colour that lifting a veil does not explain.

    A veil pales colours. Where one is lifted, a colour moves away from grey and keeps its hue, by
    as much as the veil was dense. Any other move is another hue, or less colour.

    Args:
        before: (n, 2) a*b* of the original.
        after: the same of the enhanced image.
        veil: mean density of the veil that was lifted; None if any may have been.

    Returns:
        (n,) distances in a*b*.
    """
    chroma = np.linalg.norm(before, axis=1, keepdims=True)
    hue = before / np.maximum(chroma, 1e-6)
    moved = after - before
    outward = (moved * hue).sum(1)
    aside = np.linalg.norm(moved - outward[:, None] * hue, axis=1)
    most = np.inf if veil is None else _PER_VEIL * veil
    distances: np.ndarray = np.hypot(aside, outward - np.clip(outward, 0, most))
    return distances
