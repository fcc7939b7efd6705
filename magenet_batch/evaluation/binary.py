"""How well a probability map finds a drawn mask."""

from __future__ import annotations

import numpy as np


def binary_scores(
    probability: np.ndarray, truth: np.ndarray, *, threshold: float, specificity: float = 0.95
) -> dict[str, float]:
    """All scores of one image.

    Args:
        probability: (N,) of the pixels inside the field of view.
        truth: (N,) bool; both values must occur.
        threshold: probability from which a pixel counts as found.
        specificity: at which the sensitivity is read.

    Returns:
        `auc`, `pr_auc`, `iou`, `dice`, `accuracy`, `sensitivity` (at the specificity), each 0..1.
    """
    found = probability >= threshold
    both = float((found & truth).sum())
    either = float((found | truth).sum())
    negatives = np.sort(probability[~truth])
    cut = negatives[min(len(negatives) - 1, int(np.ceil(specificity * len(negatives))))]
    return {
        "auc": roc_auc(probability, truth),
        "pr_auc": average_precision(probability, truth),
        "iou": both / max(either, 1.0),
        "dice": 2 * both / max(both + either, 1.0),
        "accuracy": float((found == truth).mean()),
        "sensitivity": float((probability[truth] > cut).mean()),
    }


def roc_auc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a positive outranks a negative (Mann-Whitney).

    Args:
        scores: (N,).
        truth: (N,) bool; both values must occur.
    """
    _, rank_of, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[rank_of]  # ties share their mean rank
    positives = int(truth.sum())
    wins = ranks[truth].sum() - positives * (positives + 1) / 2
    return float(wins / (positives * (len(truth) - positives)))


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under the precision-recall curve, as a sum of steps (not interpolated).

    Args:
        scores: (N,).
        truth: (N,) bool with at least one positive.
    """
    order = np.argsort(-scores, kind="stable")
    sorted_scores, sorted_truth = scores[order], truth[order]
    ends = np.append(np.flatnonzero(np.diff(sorted_scores)), len(scores) - 1)
    hits = np.cumsum(sorted_truth)[ends]
    precision = hits / (ends + 1)
    recall = hits / sorted_truth.sum()
    return float((np.diff(np.append(0.0, recall)) * precision).sum())
