"""Columns of any Arrow type: compare them, and convert them to what Python can hold.

Manifests hold whatever their writers chose. Values travel unchanged through Arrow and Parquet; only
comparisons and texts need care, because NaN equals nothing, and Python's dates end in the year 9999
and at microseconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_TEXTS_ARE_TRUER = (
    pa.types.is_timestamp, pa.types.is_date, pa.types.is_time, pa.types.is_duration,
)  # fmt: skip


def same_tables(one: pa.Table, other: pa.Table) -> bool:
    """Whether two tables have the same columns, types and values; NaN equals NaN."""
    if one.equals(other):
        return True
    if one.schema != other.schema or len(one) != len(other):
        return False
    pairs = zip(one.columns, other.columns, strict=True)
    return all(_same(_whole(a), _whole(b)) for a, b in pairs)


def same_values(one: pa.ChunkedArray, other: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Where two columns of one type and length have the same values.

    Args:
        one: any type.
        other: the same type and length.

    Returns:
        (N,) bool; null equals null, and NaN equals NaN.
    """
    first, second = _whole(one), _whole(other)
    if _same(first, second):
        return np.ones(len(first), bool)
    try:
        equal = pc.fill_null(pc.equal(first, second), fill_value=False)
    except pa.ArrowNotImplementedError:
        pairs = ((_whole(a.slice(i, 1)) for a in (first, second)) for i in range(len(first)))
        return np.array([_same(a, b) for a, b in pairs], bool)
    same = pc.or_(equal, pc.and_(first.is_null(), second.is_null()))
    if pa.types.is_floating(first.type):
        same = pc.or_(same, pc.fill_null(pc.and_(pc.is_nan(first), pc.is_nan(second)), False))
    result: npt.NDArray[np.bool_] = same.to_numpy(zero_copy_only=False)
    return result


def plain_rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a table as dictionaries of values that Python can hold; see `plain_values`."""
    columns = [plain_values(column).to_pylist() for column in table.columns]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def plain_values(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Convert a column so that `to_pylist` works on it without pandas, and loses nothing.

    Times and durations become text in ISO 8601 form (durations: a number and their unit), also
    inside lists, structs and maps. Maps become lists of pairs, dictionaries and extensions their
    values. All other types stay as they are.

    Args:
        column: any type.

    Returns:
        As many values, nulls at the same positions.
    """
    array = _whole(column)
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return plain_values(array.storage)
    if pa.types.is_dictionary(kind):
        return plain_values(array.dictionary_decode())
    if pa.types.is_duration(kind):
        return pc.binary_join_element_wise(pc.cast(array, pa.string()), kind.unit, " ")
    if any(is_one(kind) for is_one in _TEXTS_ARE_TRUER):
        return _in_range(array)
    if pa.types.is_struct(kind):
        inside = [plain_values(child) for child in array.flatten()]
        names = [field.name for field in kind]
        return pa.StructArray.from_arrays(inside, names, mask=array.is_null()) if names else array
    if pa.types.is_map(kind):
        pairs = pa.StructArray.from_arrays(
            [plain_values(array.keys), plain_values(array.items)], ["key", "value"]
        )
        return pa.ListArray.from_arrays(array.offsets, pairs, mask=array.is_null())
    if _is_list(kind):
        return pa.ListArray.from_arrays(
            _offsets(array), plain_values(array.flatten()), mask=array.is_null()
        )
    return array


def _in_range(times: pa.Array) -> pa.Array:
    """Times as text; what is too far for a calendar is its number of units since 1970.

    In a zone that this machine does not know, a timestamp is told as what is stored: UTC.
    """
    if pa.types.is_time(times.type):
        return pc.cast(times, pa.string())
    if pa.types.is_date(times.type):
        times, unit = pc.cast(times, pa.date32()), "D"
    else:
        unit = times.type.unit
    try:
        text = pc.cast(times, pa.string())
    except pa.ArrowInvalid:
        text = pc.cast(pc.cast(times, pa.timestamp(unit, "UTC")), pa.string())
    count = pc.cast(times, pa.int32() if unit == "D" else pa.int64())
    far = pc.binary_join_element_wise(pc.cast(count, pa.string()), unit, " ")
    return pc.if_else(pc.starts_with(text, "<value out of range"), far, text)


def _same(one: pa.Array, other: pa.Array) -> bool:
    if one.equals(other):
        return True
    kind = one.type
    if len(one) != len(other) or not one.is_null().equals(other.is_null()):
        return False
    if isinstance(one, pa.ExtensionArray):
        return _same(one.storage, other.storage)
    if pa.types.is_dictionary(kind):
        return _same(one.dictionary_decode(), other.dictionary_decode())
    if pa.types.is_floating(kind):
        found, expected = (pc.cast(a, pa.float64()).fill_null(0).to_numpy() for a in (one, other))
        return bool(np.array_equal(found, expected, equal_nan=True))
    if pa.types.is_struct(kind):
        pairs = zip(one.flatten(), other.flatten(), strict=True)
        return all(_same(_whole(a), _whole(b)) for a, b in pairs)
    if pa.types.is_map(kind):
        return one.offsets.equals(other.offsets) and all(
            _same(_whole(a), _whole(b))
            for a, b in ((one.keys, other.keys), (one.items, other.items))
        )
    if _is_list(kind):
        return _offsets(one).equals(_offsets(other)) and _same(
            _whole(one.flatten()), _whole(other.flatten())
        )
    return False


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def _offsets(lists: pa.Array) -> pa.Array:
    """Where each list starts in the flattened values, and the end of the last: int32."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())


def _whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as one array that starts at its buffers' beginning."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # too large for one array of its type
        array = pa.concat_arrays(array.chunks)
    return array if array.offset == 0 else array.take(pa.array(range(len(array))))
