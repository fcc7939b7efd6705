"""Create rows and tables of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyarrow as pa

from magenet_batch import __version__
from magenet_batch.errors import Reason
from magenet_batch.records.schema import COLUMN_NAMES, Row, row_schema

MESSAGE_MAX = 500


def start_row(
    image_id: str,
    source: str,
    *,
    source_version: str | None,
    removed: str | None,
    weights: str | None,
    weights_hash: str | None,
) -> Row:
    """Create the row of an image about which nothing is known but what the plan says."""
    return {
        "image_id": image_id,
        "source": source,
        "source_version": source_version,
        "removed": removed,
        "weights": weights,
        "weights_hash": weights_hash,
        "version": __version__,
        "flags": [],
    }


def fail(row: Row, reason: Reason, message: str) -> Row:
    """Mark a row as failed; values found so far are kept.

    Args:
        row: the row, modified in place.
        reason: one of `errors.REASONS`.
        message: one sentence for the user; line breaks are folded.

    Returns:
        The same row.
    """
    text = " ".join(message.split())[:MESSAGE_MAX]
    row.update(status="failed", reason=reason, message=text, output=None, output_sha256=None)
    return row


def rows_table(rows: Sequence[Row], extra: pa.Table) -> pa.Table:
    """Convert rows to a table with the schema of all rows files.

    Args:
        rows: one per image; NaN and infinity become null.
        extra: columns carried over from a manifest, with the same number of rows.

    Returns:
        The table.

    Raises:
        KeyError: a row has a column that is not in the schema.
    """
    for row in rows:
        unknown = row.keys() - set(COLUMN_NAMES)
        if unknown:
            raise KeyError(f"not columns of the row schema: {', '.join(sorted(unknown))}")
    schema = row_schema(extra.schema.remove_metadata())
    own = list(schema)[: len(COLUMN_NAMES)]
    arrays = [pa.array([_value(r.get(f.name)) for r in rows], f.type) for f in own]
    return pa.Table.from_arrays([*arrays, *extra.columns], schema=schema)


def _value(value: object) -> object:
    if isinstance(value, bool) or value is None:
        return value
    if hasattr(value, "item"):  # a NumPy scalar
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
