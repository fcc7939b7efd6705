import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magenet_batch.report.totals.histogram import FINE_BINS, Histogram


def test_quantiles_agree_with_numpy():
    values = np.random.default_rng(0).beta(2, 5, 20_000)
    h = Histogram(low=0, high=1)
    for part in np.array_split(values, 7):
        h.add(part)
    assert h.n == len(values)
    assert h.mean == pytest.approx(values.mean())
    for q in (0.05, 0.5, 0.95):
        assert h.quantile(q) == pytest.approx(np.quantile(values, q), abs=2 / FINE_BINS)


def test_nothing_gives_none():
    h = Histogram(low=0, high=1)
    h.add(np.array([np.nan, np.inf]))
    assert h.n == 0
    assert h.mean is None
    assert h.quantile(0.5) is None
    assert h.shares(low=0, high=1, bins=4).sum() == 0


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=50), st.integers(1, 50))
def test_shares_add_up_to_one_whatever_the_window(values, bins):
    h = Histogram(low=0, high=1)
    h.add(np.array(values))
    assert h.shares(low=0.2, high=0.7, bins=bins).sum() == pytest.approx(1)


def test_the_rank_is_the_share_of_lower_values():
    h = Histogram(low=0, high=1)
    assert h.rank(0.5) is None
    h.add(np.linspace(0.005, 0.995, 100))
    assert h.rank(None) is None
    assert h.rank(float("nan")) is None
    for value in (0.1, 0.5, 0.9):
        assert abs(h.rank(value) - value) < 0.011
    assert (h.rank(-5.0), h.rank(5.0)) == (0.0, 1.0)
