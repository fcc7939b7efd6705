"""Columns of every Arrow type: compared with NaN equal to itself, and told without a loss."""

import datetime
import decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magenet_batch.records.columns import plain_values, same_tables

NS = 1_700_000_000_123_456_789
EVERY_TYPE = {
    "nanoseconds": (pa.array([1, None, NS], pa.timestamp("ns")),
                    ["1970-01-01 00:00:00.000000001", None, "2023-11-14 22:13:20.123456789"]),
    "zoned": (pa.array([0, None, 1], pa.timestamp("ns", "UTC")),
              ["1970-01-01 00:00:00.000000000Z", None, "1970-01-01 00:00:00.000000001Z"]),
    "unknown_zone": (pa.array([0, None, 1], pa.timestamp("us", "Mars/Olympus")),
                     ["1970-01-01 00:00:00.000000Z", None, "1970-01-01 00:00:00.000001Z"]),
    "offset": (pa.array([0, None, 1], pa.timestamp("s", "+05:30")),
               ["1970-01-01 05:30:00+0530", None, "1970-01-01 05:30:01+0530"]),
    "half": (pa.array(np.array([1.5, 0, 2], np.float16), mask=np.array([0, 1, 0], bool)),
             [1.5, None, 2.0]),
    "wide_decimal": (pa.array([decimal.Decimal("1e60"), None, decimal.Decimal("2.5")],
                              pa.decimal256(76, 2)),
                     [decimal.Decimal("1e60"), None, decimal.Decimal("2.50")]),
    "list_view": (pa.array([[1], None, []], pa.list_view(pa.int8())), [[1], None, []]),
    "tensor": (pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), [2]),
        pa.array([[1, 2], None, [3, 4]], pa.list_(pa.float32(), 2))),
        [[1.0, 2.0], None, [3.0, 4.0]]),
    "far": (pa.array([300_000_000_000_000, None, 1], pa.timestamp("s")),
            ["300000000000000 s", None, "1970-01-01 00:00:01"]),
    "far_date": (pa.array([10_000_000, None, 1], pa.date32()),
                 ["29349-01-26", None, "1970-01-02"]),
    "time": (pa.array([1, None, 2], pa.time64("ns")),
             ["00:00:00.000000001", None, "00:00:00.000000002"]),
    "duration": (pa.array([10**15, None, 1], pa.duration("s")),
                 ["1000000000000000 s", None, "1 s"]),
    "decimal": (pa.array([decimal.Decimal("1.23"), None, decimal.Decimal("4.50")]),
                [decimal.Decimal("1.23"), None, decimal.Decimal("4.50")]),
    "null": (pa.nulls(3), [None, None, None]),
    "large_text": (pa.array(["a", None, "c"], pa.large_string()), ["a", None, "c"]),
    "binary": (pa.array([b"a", None, b"\xff"]), [b"a", None, b"\xff"]),
    "fixed": (pa.array([b"ab", None, b"\xff\0"], pa.binary(2)), [b"ab", None, b"\xff\0"]),
    "dictionary": (pa.array(["x", None, "x"]).dictionary_encode(), ["x", None, "x"]),
    "list": (pa.array([[1, 2], None, []]), [[1, 2], None, []]),
    "large_list": (pa.array([[1, 2], None, []], pa.large_list(pa.int8())), [[1, 2], None, []]),
    "fixed_list": (pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int8(), 2)),
                   [[1, 2], None, [3, 4]]),
    "list_of_times": (pa.array([[1], None, []], pa.list_(pa.timestamp("ns"))),
                      [["1970-01-01 00:00:00.000000001"], None, []]),
    "struct": (pa.array([{"a": 1}, None, {"a": None}]), [{"a": 1}, None, {"a": None}]),
    "map": (pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.duration("ms"))),
            [[{"key": "k", "value": "1 ms"}], None, []]),
    "extension": (pa.array([b"a" * 16, None, b"b" * 16], pa.uuid()), [b"a" * 16, None, b"b" * 16]),
}  # fmt: skip


@pytest.mark.parametrize("name", EVERY_TYPE)
def test_every_type_is_told_exactly(name: str):
    column, told = EVERY_TYPE[name]
    assert plain_values(column).to_pylist() == told
    assert plain_values(pa.chunked_array([column])).to_pylist() == told
    assert plain_values(column.slice(1)).to_pylist() == told[1:]


@pytest.mark.parametrize("name", EVERY_TYPE)
def test_every_type_equals_itself_and_not_another(name: str):
    table = pa.table({"x": EVERY_TYPE[name][0]})
    assert same_tables(table, pa.table({"x": EVERY_TYPE[name][0]}))
    assert same_tables(table.slice(1), table.slice(1))
    other = table.take(pa.array([1, 0, 2]))
    assert same_tables(table, other) == table.equals(other)


@pytest.mark.parametrize("depth", range(4))
def test_nan_equals_nan_at_any_depth(depth: int):
    def column(*values: float | None) -> pa.Array:
        inside = pa.array(values, pa.float32())
        for _ in range(depth):
            pair = pa.StructArray.from_arrays([inside, inside], ["a", "b"])
            inside = pa.ListArray.from_arrays(pa.array(range(len(values) + 1), pa.int32()), pair)
        return inside

    nan = float("nan")
    one, same, other = column(nan, None, 1), column(nan, None, 1), column(nan, nan, 1)
    assert same_tables(pa.table({"x": one}), pa.table({"x": same}))
    assert not same_tables(pa.table({"x": one}), pa.table({"x": other}))


def test_other_names_types_and_lengths_differ():
    table = pa.table({"x": [float("nan")]})
    assert not same_tables(table, pa.table({"y": [float("nan")]}))
    assert not same_tables(table, pa.table({"x": pa.array([float("nan")], pa.float32())}))
    assert not same_tables(table, pa.table({"x": [float("nan")] * 2}))


@given(st.lists(st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 1, 1))))
def test_times_that_python_knows_are_told_as_python_tells_them(times: list[datetime.datetime]):
    told = plain_values(pa.array(times, pa.timestamp("us"))).to_pylist()
    assert [datetime.datetime.fromisoformat(text) for text in told] == times
