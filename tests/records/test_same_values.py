"""Where columns are equal, element by element: as Python says, but NaN equals NaN."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magenet_batch.records.columns import plain_rows, same_values

VALUES = {
    pa.float64(): st.one_of(st.none(), st.floats(allow_nan=True)),
    pa.string(): st.one_of(st.none(), st.sampled_from(["", "a", "b"])),
    pa.int64(): st.one_of(st.none(), st.integers(0, 2)),
    pa.list_(pa.int64()): st.one_of(st.none(), st.lists(st.integers(0, 1), max_size=2)),
    pa.struct([("x", pa.float64())]): st.fixed_dictionaries({"x": st.floats(allow_nan=True)}),
}


def same(one, other) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return all(same(one[k], other[k]) for k in one)
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return one == other


@pytest.mark.parametrize("kind", VALUES, ids=str)
@given(data=st.data())
def test_every_pair_is_compared_as_python_compares(kind, data):
    pairs = data.draw(st.lists(st.tuples(VALUES[kind], VALUES[kind]), max_size=6))
    one, other = (pa.chunked_array([[p[i] for p in pairs]], kind) for i in (0, 1))
    assert same_values(one, other).tolist() == [same(a, b) for a, b in pairs]
    assert same_values(one, one).all()


def test_rows_are_of_plain_values():
    table = pa.table(
        {"t": pa.array([0], pa.timestamp("ns")), "d": pa.array(["a"]).dictionary_encode()}
    )
    assert plain_rows(table) == [{"t": "1970-01-01 00:00:00.000000000", "d": "a"}]
