"""The grade on the EyeQ scale: good, usable or reject, with probabilities.

Gradient boosted trees (Friedman, Annals of Statistics 29(5), 2001) turn what `visibility.describe`
sees into one latent number, and two thresholds cut it into three grades (ordinal regression;
McCullagh, JRSS B 42(2), 1980). `tools/fit_grader.py` fits it; its card,
beside its weights, says on what, and what it has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from magenet_batch.errors import WeightsError
from magenet_batch.imaging.fov import FieldOfView
from magenet_batch.quality.limits import LEAST_SEEN
from magenet_batch.quality.measures import MeasuringCopy, measure_scaled
from magenet_batch.quality.recognition import vessels_seen_on
from magenet_batch.quality.visibility import FEATURES, describe
from magenet_batch.records.vocabulary import GRADES

_SURE = 0.9  # probability of reject that a surface without a vessel has at least
SHIPPED = Path(__file__).parent / "shipped" / "grader.safetensors"


@dataclass(frozen=True)
class Grader:
    """A forest, and two thresholds on the mean of what its trees give.

    Attributes:
        roots: first node of each tree, (T,).
        feature: which feature a node asks for, (N,).
        threshold: up to which it goes left, (N,).
        left: next node, itself in a leaf, (N,).
        right: the same beyond the threshold, (N,).
        value: what a leaf gives, low for good, (N,).
        cuts: between good and usable, and between usable and reject, (2,).
        scale: steepness at the cuts, calibrated on images that it was not fitted on, (1,).
    """

    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    cuts: np.ndarray
    scale: np.ndarray

    @classmethod
    def load(cls, path: Path = SHIPPED) -> Grader:
        """Read the weights; the ones that ship with the package unless told otherwise.

        Raises:
            WeightsError: the file is damaged or of another grader.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), "numpy") as file:
                features = (file.metadata() or {}).get("features")
                arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise WeightsError(
                f"{path}: the grader cannot be read ({error}). Install magenet again."
            ) from error
        if features != ",".join(FEATURES) or set(arrays) != set(cls.__dataclass_fields__):
            raise WeightsError(f"{path}: no grader of this version. Install magenet again.")
        return cls(**arrays)

    def latent(self, features: np.ndarray) -> float:
        """The mean over the trees, low for good."""
        x = features.astype(np.float32)
        at, before = self.roots, None
        while before is None or (at != before).any():
            left = x[self.feature[at]] <= self.threshold[at]
            before, at = at, np.where(left, self.left[at], self.right[at])
        return float(self.value[at].mean(dtype=np.float64))

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """(3,) probabilities of good, usable and reject; they sum to 1."""
        steep = np.clip(self.scale[0] * (self.latent(features) - self.cuts), -30, 30)
        above = 1 / (1 + np.exp(-steep))
        return np.array([1 - above[0], above[0] - above[1], above[1]])


@lru_cache(maxsize=1)
def shipped_grader() -> Grader:
    """The grader of the package, read once per process."""
    return Grader.load()


def assess_quality(pixels: np.ndarray, fov: FieldOfView) -> dict[str, float | str | None]:
    """Everything that is said of an image on its own: its grade and its measures.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        fov: its field of view.

    Returns:
        `grade`, `good`, `usable`, `reject` and the keys of `schema.QUALITY_MEASURES`; None where
        the field of view is too small to tell.
    """
    return assess_copy(MeasuringCopy.of(pixels, fov))


def assess_copy(copy: MeasuringCopy) -> dict[str, float | str | None]:
    """The same of an image that is at the measuring scale already."""
    measures = measure_scaled(copy.rgb, copy.mask)
    features = describe(copy, measures)
    if features is None:
        return {"grade": None, **dict.fromkeys(GRADES), **measures}
    chances = shipped_grader().probabilities(features)
    seen = vessels_seen_on(copy)
    if seen is not None and seen < LEAST_SEEN:
        chances = beyond_help(chances)
    return {
        "grade": GRADES[int(np.argmax(chances))],
        **{grade: float(p) for grade, p in zip(GRADES, chances, strict=True)},
        **measures,
    }


def beyond_help(chances: np.ndarray) -> np.ndarray:
    """Probabilities of a surface on which no vessel is seen: reject, whatever else it looks like.

    Args:
        chances: (3,) of good, usable and reject, as the grader gives them.

    Returns:
        (3,), at least 0.9 of reject; good and usable keep their proportion.
    """
    rest = float(chances[:2].sum())
    return chances if rest <= 1 - _SURE else np.append(chances[:2] * (1 - _SURE) / rest, _SURE)


def quality_score(row: dict[str, float | str | None]) -> float | None:
    """One number of a grade: the expected grade, 1 for good, 0.5 for usable, 0 for reject."""
    good, usable = row["good"], row["usable"]
    return None if good is None or usable is None else float(good) + 0.5 * float(usable)
