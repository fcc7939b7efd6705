"""Reads a job's rows once and adds up all that a report shows, in bounded memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from magenet_batch.records.reading import complete, floats, open_rows, planned_images
from magenet_batch.records.run_info import read_run
from magenet_batch.records.schema import COLUMN_NAMES, QUALITY_MEASURES
from magenet_batch.records.vocabulary import GRADES, NEVER_ENHANCED, STATUSES
from magenet_batch.report.totals.groups import AVERAGED, ByColumn
from magenet_batch.report.totals.pick import Top, random_keys
from magenet_batch.report.totals.totals import (
    BETTER,
    GAIN,
    MOST_VESSELS,
    REVIEW_ROWS,
    Failure,
    ReportTotals,
)
from magenet_batch.storage import Location

EXAMPLES = 5
POLICIES_MAX = 20
_NOT_ADDED_UP = {
    "source", "output", "sha256", "bit_depth", "evidence", "usable_before", "reject_before",
    "good_after", "usable_after", "reject_after", "fov_x", "fov_y", "fov_radius", "fov_coverage",
    "fov_offset", "preview", "reviewer", "reviewed", "before_review",
}  # fmt: skip
"""Columns that only the few rows with pictures need; they are read again for these."""
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def collect(
    out: Location, *, seed: int = 0, reviewed: int = 0, review: int = REVIEW_ROWS
) -> ReportTotals:
    """Read all rows of a job once.

    Args:
        out: the job's output folder.
        seed: of the random selections.
        reviewed: how many flagged rows to keep for pages of their own.
        review: how many rows to keep that a reviewer can decide in the page.

    Returns:
        All that a report shows.

    Raises:
        UsageError: the folder holds no readable rows.
    """
    rows = open_rows(out)
    found = ReportTotals(out=out, run=read_run(out), reviewed=Top(reviewed), waiting=Top(review))
    extra = [n for n in rows.schema.names if n not in COLUMN_NAMES]
    found.columns = [ByColumn(n) for n in extra if _groupable(rows.schema.field(n).type)]
    there = [n for n in rows.schema.names if n not in _NOT_ADDED_UP]
    wanted = [n for n in there if n in COLUMN_NAMES]
    for table in rows.tables(wanted + [c.name for c in found.columns]):
        _add(found, complete(table), seed=seed)
    found.outcome.planned = planned_images(out)
    found.outcome.copied = found.run.options.get("kept") != "omit"
    tops = (*found.picks.values(), found.reviewed, found.waiting)
    picked = [row for top in tops for row in top.rows()]
    rows.fetch(picked)
    if not any(h.n for h in found.before.values()):
        found.before = found.all_before
    return found


def _groupable(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_one_of = (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean,
                 pa.types.is_integer)  # fmt: skip
    return any(is_it(kind) for is_it in is_one_of)


def _add(found: ReportTotals, table: pa.Table, *, seed: int) -> None:
    """Add one large batch to everything."""
    status = table.column("status")
    lengths = pc.fill_null(pc.list_value_length(table.column("flags")), 0).to_numpy()
    masks = {s: pc.fill_null(pc.equal(status, s), False).to_numpy() for s in STATUSES}
    found.images += table.num_rows
    _add_outcome(found, table, lengths > 0)
    found.bytes += pc.sum(table.column("bytes")).as_py() or 0
    area = floats(table, "width") * floats(table, "height")
    found.megapixels += float(np.nansum(area)) / 1e6
    for flag, count in _counts(pc.list_flatten(table.column("flags"))):
        found.flags[flag] += count
    for name, histogram in found.seconds.items():
        histogram.add(floats(table, name))
    gain = _add_quality(found, table, masks["enhanced"])
    for name, histogram in found.fidelity.items():
        histogram.add(floats(table, name))
    _add_grades(found, table, masks)
    _add_groups(found, table, masks, lengths > 0)
    _add_failures(found, table, masks["failed"])
    _add_origin(found, table)
    _add_picks(found, table, masks, lengths, gain, seed=seed)


def _add_outcome(found: ReportTotals, table: pa.Table, flagged: Mask) -> None:
    """Count what became of the images; those that are alike are counted together."""
    names = ["status", "reason", "decision", "grade_before", "grade_after"]
    alike = table.select(names).append_column("flagged", pa.array(flagged))
    alike = alike.append_column("noted", pa.array(_noted(table)))
    alike = alike.append_column("lettered", pa.array(_lettered(table)))
    names += ["flagged", "noted", "lettered"]
    groups = alike.group_by(names).aggregate([([], "count_all")])
    for row in groups.to_pylist():
        if row["status"] in STATUSES:
            reason = row["reason"] or ("error" if row["status"] == "failed" else None)
            found.outcome.add(
                row["status"], reason, row["count_all"], flagged=row["flagged"],
                noted=row["noted"], lettered=row["lettered"], decision=row["decision"],
                grades=(row["grade_before"], row["grade_after"]),
            )  # fmt: skip


def _counts(values: pa.ChunkedArray) -> list[tuple[str, int]]:
    """Distinct values with their numbers, nulls left out."""
    pairs = pc.value_counts(values).to_pylist()
    return [(p["values"], p["counts"]) for p in pairs if p["values"] is not None]


def _add_quality(found: ReportTotals, table: pa.Table, enhanced: Mask) -> Floats:
    """Add the quality measures; returns the gain of each image, NaN where unknown."""
    vessels = floats(table, "vessel_contrast") - 1
    gain = np.nan_to_num(np.minimum(vessels, MOST_VESSELS))
    for name in QUALITY_MEASURES:
        before, after = floats(table, f"{name}_before"), floats(table, f"{name}_after")
        found.all_before[name].add(before)
        found.before[name].add(before[enhanced])
        found.after[name].add(after[enhanced])
        change = (after - before) * BETTER.get(name, 0)
        both = enhanced & np.isfinite(change)
        better, number = found.better[name]
        found.better[name] = (better + int((change[both] > 0).sum()), number + int(both.sum()))
        if name in GAIN:
            gain += np.nan_to_num(change)
    return np.where(enhanced, gain, np.nan)


def _add_grades(found: ReportTotals, table: pa.Table, masks: dict[str, Mask]) -> None:
    """Count grades before, and the ways from before to what is delivered."""
    grades = found.grades
    for grade, count in _counts(table.column("grade_before")):
        if grade in GRADES:
            grades.before[grade] += count
    names = ["grade_before", "grade_after"]
    delivered = {"enhanced": masks["enhanced"], "original": masks["kept"] | masks["withheld"]}
    for status, mask in delivered.items():
        pairs = table.select(names).filter(pa.array(mask)).group_by(names)
        for row in pairs.aggregate([([], "count_all")]).to_pylist():
            before = row["grade_before"]
            after = row["grade_after"] if status == "enhanced" else before
            if before in GRADES and after in GRADES:
                grades.flow[before, after] += row["count_all"]
                if status == "enhanced":
                    grades.changed[before, after] += row["count_all"]


def _add_groups(
    found: ReportTotals,
    table: pa.Table,
    masks: dict[str, Mask],
    flagged: Mask,
) -> None:
    measures = {name: pa.array(mask.astype(np.int64)) for name, mask in masks.items()}
    measures["flagged"] = pa.array(flagged.astype(np.int64))
    for when in ("before", "after"):
        grade = table.column(f"grade_{when}")
        if when == "after":
            # what is not enhanced is delivered with the grade it came with
            original = pa.array(masks["kept"] | masks["withheld"] | masks["assessed"])
            grade = pc.if_else(original, table.column("grade_before"), grade)
        measures[f"graded_{when}"] = pc.cast(pc.is_valid(grade), pa.int64()).combine_chunks()
        good = pc.fill_null(pc.equal(grade, GRADES[0]), False)
        measures[f"good_{when}"] = pc.cast(good, pa.int64()).combine_chunks()
        ungradable = pc.fill_null(pc.equal(grade, GRADES[-1]), False)
        measures[f"ungradable_{when}"] = pc.cast(ungradable, pa.int64()).combine_chunks()
    enhanced = pa.array(masks["enhanced"])
    nothing = pa.scalar(None, pa.float64())
    for name in AVERAGED:
        # averages compare like with like: the enhanced images, before and after
        values = pc.cast(table.column(name), pa.float64()).combine_chunks()
        measures[name] = pc.if_else(enhanced, values, nothing)
    found.folders.add(table.column("image_id"), measures)
    for column in found.columns:
        column.add(table.column(column.name), measures)


def _add_failures(found: ReportTotals, table: pa.Table, failed: Mask) -> None:
    part = table.select(["image_id", "reason", "message"]).filter(pa.array(failed))
    if not part.num_rows:
        return
    reasons = pc.fill_null(part.column("reason"), "error")
    for reason, count in _counts(reasons):
        failure = found.failures.setdefault(reason, Failure())
        failure.count += count
        room = EXAMPLES - len(failure.examples)
        if room > 0:
            some = part.filter(pc.equal(reasons, reason)).slice(0, room).to_pylist()
            failure.examples += [(r["image_id"] or "", r["message"] or "") for r in some]


def _add_origin(found: ReportTotals, table: pa.Table) -> None:
    """Count where rows come from: weights, versions, formats, policies."""
    pairs = table.select(["weights", "weights_hash"]).group_by(["weights", "weights_hash"])
    for row in pairs.aggregate([([], "count_all")]).to_pylist():
        if row["weights"]:
            found.weights[row["weights"], row["weights_hash"] or ""] += row["count_all"]
    for name, counter in (("version", found.versions), ("format", found.formats)):
        for value, count in _counts(table.column(name)):
            counter[value] += count
    for policy, count in _counts(table.column("policy")):
        if policy in found.policies or len(found.policies) < POLICIES_MAX:
            found.policies[policy] += count


def _noted(table: pa.Table) -> Mask:
    """Where something was unusual about the file."""
    lengths = pc.fill_null(pc.utf8_length(table.column("decoder_note")), 0).to_numpy()
    noted: Mask = lengths > 0
    return noted


def _lettered(table: pa.Table) -> Mask:
    """Where something looks like text outside the field of view."""
    lettered: Mask = floats(table, "burned_in_text") > 0
    return lettered


def _grades_lost(table: pa.Table) -> npt.NDArray[np.int64]:
    """Steps by which the grade fell, negative where it rose; 0 without both grades."""
    before, after = (
        pc.fill_null(pc.index_in(table.column(f"grade_{when}"), pa.array(GRADES)), -1).to_numpy()
        for when in ("before", "after")
    )
    return np.where((before >= 0) & (after >= 0), after - before, 0).astype(np.int64)


def _add_picks(
    found: ReportTotals,
    table: pa.Table,
    masks: dict[str, Mask],
    lengths: npt.NDArray[np.int64],
    gain: Floats,
    *,
    seed: int,
) -> None:
    """Offer the batch to the selections for gallery, table and pages of their own."""
    ids = [i or "" for i in table.column("image_id").to_pylist()]
    chance = random_keys(ids, seed=seed)
    enhanced, assessed = masks["enhanced"], masks["assessed"]
    decided = pc.is_valid(table.column("decision")).to_numpy(zero_copy_only=False)
    reasons = pc.fill_null(table.column("reason"), "")
    unenhanced = pc.is_in(reasons, pa.array(NEVER_ENHANCED)).to_numpy(zero_copy_only=False)
    judged = enhanced | (masks["withheld"] & ~unenhanced)
    lost = _grades_lost(table)
    fell = enhanced & (lost > 0)
    fidelity = floats(table, "fidelity")
    fidelity = np.where(np.isfinite(fidelity), fidelity, floats(table, "structure_agreement"))
    good = floats(table, "good_before")
    good = np.where(np.isfinite(good), good, floats(table, "sharpness_before"))
    doubt = (lengths > 0) & ~masks["failed"]
    # most flags first, among equals the lowest fidelity
    doubtful = np.where(doubt, lengths + 1.0 - np.clip(np.nan_to_num(fidelity), 0, 1), np.nan)
    offers = {
        # what is flagged or was decided about is no success, however much it gained;
        # a grade that rose comes before any gain of measures
        "gain": np.where((lengths > 0) | decided | fell, np.nan, gain - lost),
        "worst": np.where(enhanced, -fidelity, np.nan),
        "kept": np.where(masks["kept"], chance, np.nan),
        "withheld": np.where(masks["withheld"] & ~judged, chance, np.nan),
        "poor": np.where(assessed, -good, np.nan),
        "text": np.where(_lettered(table) & ~masks["failed"], chance, np.nan),
        "noted": np.where(_noted(table) & ~masks["failed"], chance, np.nan),
        "random": np.where(enhanced | assessed, chance, np.nan),
    }
    for why, keys in offers.items():
        found.picks[why].offer(table, keys, ties=chance)
    # undecided before decided, withheld and fallen ones first, then by the number of flags
    open_ = judged & ((lengths > 0) | masks["withheld"] | decided)
    urgency = 100.0 * ~decided + 10.0 * (masks["withheld"] | fell) + lengths
    found.waiting.offer(table, np.where(open_, urgency, np.nan), ties=chance)
    found.reviewed.offer(table, doubtful, ties=chance)
    wanted = 1.0 * ((lengths > 0) | masks["withheld"] | decided | _lettered(table))
    found.table.offer(table, chance + 2.0 * masks["failed"] + wanted, ties=chance)
