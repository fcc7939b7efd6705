"""Reads a job's rows once and adds up all that a report shows, in bounded memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from magenet_batch.report.groups import AVERAGED, ByColumn, Folders
from magenet_batch.report.histogram import Histogram
from magenet_batch.report.pick import Top, random_keys
from magenet_batch.report.rows import BATCH_ROWS, complete, floats, in_large_batches, open_rows
from magenet_batch.report.run import RunInfo, read_run
from magenet_batch.schema import (
    COLUMN_NAMES,
    FIDELITY_MEASURES,
    QUALITY_MEASURES,
    STATUSES,
    TIMING_COLUMNS,
    Row,
)

TABLE_ROWS = 2_000
PICKS = 8
EXAMPLES = 5
BETTER: dict[str, int] = {
    "sharpness": 1, "contrast": 1, "illumination": 1, "colour_cast": -1, "haze": -1,
    "noise": -1, "clipped": -1,
}  # fmt: skip
"""Quality measure -> +1 when higher is better, -1 when lower is; the others are neither."""
_GAIN = ("sharpness", "contrast", "illumination", "haze")
_DE_RANGE = 100.0


@dataclass
class Failure:
    """Failed images of one reason: how many, and the first few `(image_id, message)`."""

    count: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Collected:
    """All that was added up.

    Attributes:
        out: the job's output folder.
        run: how the job was run.
        images: number of rows.
        status: status -> rows.
        flagged: rows with at least one flag.
        flags: flag -> rows.
        bytes: size of all sources.
        megapixels: of all images that could be read.
        seconds: timing column -> its distribution.
        before: quality measure -> distribution before, over enhanced images; over all measured
            ones when nothing was enhanced.
        after: quality measure -> distribution after, over enhanced images.
        better: quality measure -> (images that got better, images with both values).
        fidelity: fidelity measure -> distribution.
        folders: totals per folder.
        columns: totals per value of each manifest column.
        failures: reason -> what failed.
        weights: (name, hash) -> rows.
        versions: version -> rows.
        formats: format -> rows.
        picks: why -> selected rows for the gallery.
        table: rows for the table, failed and flagged ones first to be kept.
    """

    out: Path
    run: RunInfo
    images: int = 0
    status: Counter[str] = field(default_factory=Counter)
    flagged: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    megapixels: float = 0.0
    seconds: dict[str, Histogram] = field(
        default_factory=lambda: {n: Histogram(low=0, high=120) for n in TIMING_COLUMNS}
    )
    before: dict[str, Histogram] = field(
        default_factory=lambda: {n: Histogram(low=0, high=1) for n in QUALITY_MEASURES}
    )
    after: dict[str, Histogram] = field(
        default_factory=lambda: {n: Histogram(low=0, high=1) for n in QUALITY_MEASURES}
    )
    all_before: dict[str, Histogram] = field(
        default_factory=lambda: {n: Histogram(low=0, high=1) for n in QUALITY_MEASURES}
    )
    better: dict[str, tuple[int, int]] = field(
        default_factory=lambda: dict.fromkeys(QUALITY_MEASURES, (0, 0))
    )
    fidelity: dict[str, Histogram] = field(
        default_factory=lambda: {
            n: Histogram(low=0, high=1 if unit == "0..1" else _DE_RANGE)
            for n, (unit, _) in FIDELITY_MEASURES.items()
        }
    )
    folders: Folders = field(default_factory=Folders)
    columns: list[ByColumn] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)
    weights: Counter[tuple[str, str]] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    picks: dict[str, Top] = field(
        default_factory=lambda: {w: Top(PICKS) for w in ("gain", "flagged", "worst", "random")}
    )
    table: Top = field(default_factory=lambda: Top(TABLE_ROWS))

    def table_rows(self) -> list[Row]:
        """The rows of the table, in order of their ids."""
        return sorted(self.table.rows(), key=lambda r: r["image_id"] or "")


def _lengths(table: pa.Table) -> npt.NDArray[np.int64]:
    """Number of flags per row."""
    return pc.fill_null(pc.list_value_length(table.column("flags")), 0).to_numpy()


def collect(out: Path, *, seed: int = 0) -> Collected:
    """Read all rows of a job once.

    Args:
        out: the job's output folder.
        seed: of the random selections.

    Returns:
        All that a report shows.

    Raises:
        UsageError: the folder holds no readable rows.
    """
    rows = open_rows(out)
    found = Collected(out=out, run=read_run(out))
    extra = [n for n in rows.schema.names if n not in COLUMN_NAMES]
    found.columns = [ByColumn(n) for n in extra if _groupable(rows.schema.field(n).type)]
    wanted = [n for n in COLUMN_NAMES if n in rows.schema.names and n != "sha256"]
    columns = wanted + [c.name for c in found.columns]
    scanner = rows.scanner(columns=columns, batch_size=BATCH_ROWS)
    for table in in_large_batches(scanner.to_batches()):
        _add(found, complete(table), seed=seed)
    if not any(h.n for h in found.before.values()):
        found.before = found.all_before
    return found


def _groupable(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
    )


def _add(found: Collected, table: pa.Table, *, seed: int) -> None:
    """Add one large batch to everything."""
    status = table.column("status")
    lengths = _lengths(table)
    masks = {s: pc.fill_null(pc.equal(status, s), False).to_numpy() for s in STATUSES}
    found.images += table.num_rows
    found.status.update({s: int(m.sum()) for s, m in masks.items()})
    found.flagged += int((lengths > 0).sum())
    found.bytes += pc.sum(table.column("bytes")).as_py() or 0
    area = floats(table, "width") * floats(table, "height")
    found.megapixels += float(np.nansum(area)) / 1e6
    for flag in pc.value_counts(pc.list_flatten(table.column("flags"))).to_pylist():
        found.flags[flag["values"]] += flag["counts"]
    for name, histogram in found.seconds.items():
        histogram.add(floats(table, name))
    gain = _add_quality(found, table, masks["enhanced"])
    for name, histogram in found.fidelity.items():
        histogram.add(floats(table, name))
    _add_groups(found, table, masks, lengths > 0)
    _add_failures(found, table, masks["failed"])
    _add_origin(found, table)
    _add_picks(found, table, masks, lengths, gain, seed=seed)


def _add_quality(
    found: Collected, table: pa.Table, enhanced: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Add the quality measures; returns the gain of each image, NaN where unknown."""
    gain = np.zeros(table.num_rows)
    for name in QUALITY_MEASURES:
        before, after = floats(table, f"{name}_before"), floats(table, f"{name}_after")
        found.all_before[name].add(before)
        found.before[name].add(before[enhanced])
        found.after[name].add(after[enhanced])
        change = (after - before) * BETTER.get(name, 0)
        both = enhanced & np.isfinite(change)
        better, number = found.better[name]
        found.better[name] = (better + int((change[both] > 0).sum()), number + int(both.sum()))
        if name in _GAIN:
            gain += np.nan_to_num(change)
    return np.where(enhanced, gain, np.nan)


def _add_groups(
    found: Collected,
    table: pa.Table,
    masks: dict[str, npt.NDArray[np.bool_]],
    flagged: npt.NDArray[np.bool_],
) -> None:
    measures = {name: pa.array(mask.astype(np.int64)) for name, mask in masks.items()}
    measures["flagged"] = pa.array(flagged.astype(np.int64))
    enhanced = pa.array(masks["enhanced"])
    nothing = pa.scalar(None, pa.float64())
    for name in AVERAGED:
        # averages compare like with like: the enhanced images, before and after
        values = pc.cast(table.column(name), pa.float64()).combine_chunks()
        measures[name] = pc.if_else(enhanced, values, nothing)
    found.folders.add(table.column("image_id"), measures)
    for column in found.columns:
        column.add(table.column(column.name), measures)


def _add_failures(found: Collected, table: pa.Table, failed: npt.NDArray[np.bool_]) -> None:
    part = table.select(["image_id", "reason", "message"]).filter(pa.array(failed))
    if not part.num_rows:
        return
    reasons = pc.fill_null(part.column("reason"), "error")
    for entry in pc.value_counts(reasons).to_pylist():
        failure = found.failures.setdefault(entry["values"], Failure())
        failure.count += entry["counts"]
        room = EXAMPLES - len(failure.examples)
        if room > 0:
            some = part.filter(pc.equal(reasons, entry["values"])).slice(0, room).to_pylist()
            failure.examples += [(r["image_id"] or "", r["message"] or "") for r in some]


def _add_origin(found: Collected, table: pa.Table) -> None:
    pairs = table.select(["weights", "weights_hash"]).group_by(["weights", "weights_hash"])
    for row in pairs.aggregate([([], "count_all")]).to_pylist():
        if row["weights"]:
            found.weights[row["weights"], row["weights_hash"] or ""] += row["count_all"]
    for name, counter in (("version", found.versions), ("format", found.formats)):
        for entry in pc.value_counts(table.column(name)).to_pylist():
            if entry["values"] is not None:
                counter[entry["values"]] += entry["counts"]


def _add_picks(
    found: Collected,
    table: pa.Table,
    masks: dict[str, npt.NDArray[np.bool_]],
    lengths: npt.NDArray[np.int64],
    gain: npt.NDArray[np.float64],
    *,
    seed: int,
) -> None:
    """Offer the batch to the gallery's and the table's selections."""
    ids = [i or "" for i in table.column("image_id").to_pylist()]
    chance = random_keys(ids, seed=seed)
    agreement = floats(table, "structure_agreement")
    enhanced = masks["enhanced"]
    offers = {
        "gain": gain,
        "flagged": np.where(enhanced & (lengths > 0), lengths + chance, np.nan),
        "worst": np.where(enhanced, -agreement, np.nan),
        "random": np.where(enhanced, chance, np.nan),
    }
    for why, keys in offers.items():
        found.picks[why].offer(table, keys, ties=chance)
    found.table.offer(table, chance + 2.0 * masks["failed"] + 1.0 * (lengths > 0), ties=chance)
