"""Generations of a plan: whatever joins, changes and leaves, the plan says what a dict would."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magenet_batch.errors import JobError, UsageError
from magenet_batch.jobs.plan import generations
from magenet_batch.jobs.plan.generations import save_generation
from magenet_batch.jobs.plan.growth import compare, next_generation
from magenet_batch.jobs.plan.plan import PLAN_COLUMNS, Plan, tasks_of
from magenet_batch.records.layout import GENERATIONS, PLAN

NAMES = st.dictionaries(st.sampled_from("abcdefghij"), st.integers(1, 3), min_size=1)


def listing(archive: dict[str, int], *, folder: str = "/in") -> pa.Table:
    names = sorted(archive)
    columns = [
        names, [f"{folder}/{n}" for n in names], [f"images/{n}" for n in names], [9] * len(names),
        [None] * len(names), [archive[n] for n in names], [None] * len(names),
    ]  # fmt: skip
    arrays = [pa.array(c, f.type) for c, f in zip(columns, PLAN_COLUMNS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=PLAN_COLUMNS)


def grow(out: Path, plan: Plan, archive: dict[str, int]) -> Plan:
    """The plan as a job that starts now would read it, after its archive has become another."""
    if growth := compare(plan, [listing(archive)]):
        when = f"generation {plan.generations + 1}"
        save_generation(out, next_generation(plan, growth, shard_size=2, when=when, out=out))
    return Plan.load(out / PLAN)


def started(out: Path, archive: dict[str, int]) -> Plan:
    plan = Plan(listing(archive), 3)
    plan.save(out / PLAN)
    return plan


@given(st.lists(NAMES, min_size=2, max_size=6), st.integers(2, 4))
def test_a_plan_follows_its_archive(tmp_path_factory, archives, files_max):
    out = tmp_path_factory.mktemp("out")
    plan = started(out, archives[0])
    places = {n: plan.place(i) for i, n in enumerate(plan.table["image_id"].to_pylist())}
    ever: dict[str, int] = {}
    before, generations.FILES_MAX = generations.FILES_MAX, files_max
    try:
        for archive in archives:
            ever |= archive
            plan = grow(out, plan, archive)
            rows = plan.table.to_pylist()
            assert {r["image_id"]: r["modified_ns"] for r in rows} == ever
            assert {r["image_id"] for r in rows if r["removed"] is None} == archive.keys()
            assert plan.present == len(archive)
            now = {row["image_id"]: plan.place(i) for i, row in enumerate(rows)}
            assert now | places == now, "an image never changes its place"
            places = now
            assert not compare(plan, [listing(archive)]), "it is planned once"
        assert len(list((out / GENERATIONS).glob("*"))) <= files_max
    finally:
        generations.FILES_MAX = before
    in_shards = [
        task.image_id
        for shard in range(plan.shards)
        for task in tasks_of(plan.slice(shard, range(plan.shard_rows(shard))))
    ]
    assert in_shards == plan.table["image_id"].to_pylist()
    assert [plan.place(plan.shard_start(s)) for s in range(plan.shards)] == [
        (s, 0) for s in range(plan.shards)
    ]
    assert [one.number for one in plan.later] == list(range(2, plan.generations + 1))


def test_only_images_that_changed_later_are_amended(tmp_path):
    plan = grow(tmp_path, started(tmp_path, {"a": 1, "b": 1, "c": 1}), {"a": 1, "b": 2, "d": 1})
    assert plan.amended_positions == {0: [1, 2]}
    assert plan.later[0]._replace(planned="") == (2, "", 1, 1, 1, 2)


def test_a_crash_while_files_are_merged_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(generations, "FILES_MAX", 3)
    plan = started(tmp_path, {"a": 1})
    for count in (2, 3):
        plan = grow(tmp_path, plan, {"a": count})
    left = {p: p.read_bytes() for p in (tmp_path / GENERATIONS).iterdir()}
    plan = grow(tmp_path, plan, {"a": 4, "b": 1})
    assert [p.name for p in (tmp_path / GENERATIONS).iterdir()] == ["000002-000004.parquet"]
    for path, content in left.items():
        path.write_bytes(content)
    assert Plan.load(tmp_path / PLAN) == plan
    assert Plan.load(tmp_path / PLAN).later == plan.later


def test_a_missing_generation_is_an_error(tmp_path):
    plan = started(tmp_path, {"a": 1})
    for count in (2, 3):
        plan = grow(tmp_path, plan, {"a": count})
    (tmp_path / GENERATIONS / "000002-000002.parquet").unlink()
    with pytest.raises(JobError, match="generation 2 is missing"):
        Plan.load(tmp_path / PLAN)


def test_names_that_depend_on_the_list_are_refused(tmp_path):
    plan = started(tmp_path, {"a": 1, "b": 1})
    moved = listing({"a": 1, "b": 1}).set_column(0, "image_id", pa.array(["x/a", "x/b"]))
    growth = compare(plan, [moved.cast(PLAN_COLUMNS)])
    with pytest.raises(UsageError, match="--root"):
        next_generation(plan, growth, shard_size=None, when="now", out=tmp_path)


def test_an_image_that_cannot_be_looked_at_stays_as_it_was(tmp_path):
    plan = started(tmp_path, {"a": 1})
    blind = listing({"a": 1}).set_column(3, PLAN_COLUMNS.field(3), pa.array([None], pa.int64()))
    assert not compare(plan, [blind])
