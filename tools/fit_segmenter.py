"""Fit the vessel segmenter of the evaluation on clean photographs with vessel masks.

    python tools/fit_segmenter.py ../shared/data/hrf/train-vessels

Writes magenet_batch/evaluation/segmenter.json, and prints its scores on folders given with --test,
which it was not fitted on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from magenet_batch.evaluation import segmenter
from magenet_batch.evaluation.binary import binary_scores
from magenet_batch.evaluation.images import list_images, load_image, load_mask, masks_of
from magenet_batch.evaluation.segmenter import Segmenter, describe, expand
from magenet_batch.imaging.colour import resize_area

_PER_IMAGE = 6000  # pixels of each image that are used
_RIDGE = 1e-3


def samples(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of a random choice of pixels."""
    rng = np.random.default_rng(0)
    features, truth = [], []
    for path in list_images(folder):
        image = load_image(path, size=1024)
        masks = dict(masks_of(path))
        if image is None or not masks:
            continue
        drawn = load_mask(next(iter(masks.values())), shape=image.pixels.shape[:2])
        described, inside = describe(image.pixels, image.fov)
        small = resize_area(drawn.astype(np.float32), inside.shape[1], inside.shape[0]) > 0.5
        chosen = rng.choice(np.flatnonzero(inside), _PER_IMAGE, replace=False)
        features.append(described.reshape(-1, described.shape[2])[chosen])
        truth.append(small.flat[chosen])
    return np.concatenate(features).astype(np.float64), np.concatenate(truth).astype(np.float64)


def fit(features: np.ndarray, truth: np.ndarray) -> Segmenter:
    """Logistic regression by Newton's method, and the threshold with the best Dice."""
    mean, spread = features.mean(0), features.std(0)
    x = expand((features - mean) / spread)
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    weights = np.zeros(x.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (p - truth) / len(x) + _RIDGE * weights
        curvature = (x * (p * (1 - p))[:, None]).T @ x / len(x) + _RIDGE * np.eye(len(weights))
        weights = weights - np.linalg.solve(curvature, gradient)
    p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
    thresholds = np.linspace(0.1, 0.9, 81)
    dice = [2 * truth[p > t].sum() / max(truth.sum() + (p > t).sum(), 1) for t in thresholds]
    return Segmenter(mean, spread, weights, float(thresholds[int(np.argmax(dice))]))


def test(fitted: Segmenter, folder: Path) -> dict[str, float]:
    """Mean scores over the images of a folder that have masks."""
    scores = []
    for path in list_images(folder):
        image = load_image(path, size=1024)
        masks = dict(masks_of(path))
        if image is None or not masks:
            continue
        drawn = load_mask(next(iter(masks.values())), shape=image.pixels.shape[:2])
        found = fitted.segment(image.pixels, image.fov)
        scores.append(
            binary_scores(found[image.mask], drawn[image.mask], threshold=fitted.threshold)
        )
    return {key: float(np.mean([s[key] for s in scores])) for key in scores[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--test", type=Path, action="append", default=[])
    arguments = parser.parse_args()
    features, truth = samples(arguments.folder)
    fitted = fit(features, truth)
    facts = {key: getattr(fitted, key).round(6).tolist() for key in ("mean", "spread", "weights")}
    facts["threshold"] = fitted.threshold
    segmenter._FITTED.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    for folder in arguments.test:
        words = ", ".join(f"{k} {v:.3f}" for k, v in test(fitted, folder).items())
        print(f"{folder.name}: {words}")


if __name__ == "__main__":
    main()
