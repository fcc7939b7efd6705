"""Scores of probability maps, with scikit-learn as the oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magenet_batch.evaluation.binary import average_precision, binary_scores, roc_auc

metrics = pytest.importorskip("sklearn.metrics")


@given(st.integers(0, 10**6), st.integers(5, 400), st.integers(2, 50))
@settings(max_examples=60, deadline=None)
def test_areas_are_those_of_scikit_learn_with_ties(seed: int, count: int, levels: int):
    rng = np.random.default_rng(seed)
    scores = rng.integers(levels, size=count) / levels
    truth = rng.random(count) < 0.4
    truth[:2] = (True, False)
    assert roc_auc(scores, truth) == pytest.approx(metrics.roc_auc_score(truth, scores))
    assert average_precision(scores, truth) == pytest.approx(
        metrics.average_precision_score(truth, scores)
    )


def test_overlaps_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    scores, truth = rng.random(500), rng.random(500) < 0.3
    found = binary_scores(scores, truth, threshold=0.6)
    hit = scores >= 0.6
    assert found["iou"] == pytest.approx(metrics.jaccard_score(truth, hit))
    assert found["dice"] == pytest.approx(metrics.f1_score(truth, hit))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, hit))


def test_sensitivity_is_read_where_the_specificity_is_kept():
    scores = np.concatenate([np.linspace(0, 1, 1000), np.full(100, 0.97), np.full(100, 0.5)])
    truth = np.arange(1200) >= 1000
    assert binary_scores(scores, truth, threshold=0.5)["sensitivity"] == pytest.approx(0.5)


def test_a_perfect_map_has_perfect_scores():
    truth = np.arange(100) % 7 == 0
    scores = binary_scores(truth.astype(float), truth, threshold=0.5)
    assert all(value == pytest.approx(1.0) for value in scores.values())
