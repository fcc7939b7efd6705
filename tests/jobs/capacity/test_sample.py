"""The images on which a job is measured."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magenet_batch.jobs.capacity.sample import LEAST, sample_of, sample_size
from magenet_batch.jobs.plan.plan import PLAN_COLUMNS, Plan


def plan_of(sizes: list[int | None]) -> Plan:
    names = [f"{i}.png" for i in range(len(sizes))]
    known = {"image_id": names, "source": names, "output": names, "bytes": sizes}
    arrays = [pa.array(known.get(f.name, [None] * len(sizes)), f.type) for f in PLAN_COLUMNS]
    return Plan(pa.Table.from_arrays(arrays, schema=PLAN_COLUMNS), shard_size=64)


def test_every_size_is_drawn_once():
    sizes = [1] * 50 + [1000] * 50
    chosen = sample_of(plan_of(sizes), images=10)
    assert sorted(chosen.table["bytes"].to_pylist()) == [1] * 5 + [1000] * 5
    assert chosen.table["bytes"].to_pylist() != sorted(chosen.table["bytes"].to_pylist())


@given(
    sizes=st.lists(st.none() | st.integers(0, 10**9), min_size=1, max_size=60),
    images=st.integers(1, 80),
)
def test_a_sample_holds_different_images_of_the_plan(sizes, images):
    chosen = sample_of(plan_of(sizes), images=images)
    names = chosen.table["image_id"].to_pylist()
    assert len(set(names)) == len(names) == min(images, len(sizes))
    assert chosen.table.schema == PLAN_COLUMNS
    assert sample_of(plan_of(sizes), images=images).table == chosen.table


@pytest.mark.parametrize(
    ("images", "workers", "size"), [(10, 2, 10), (1000, 2, LEAST), (1000, 64, 512)]
)
def test_every_worker_gets_several_images(images, workers, size):
    assert sample_size(images, workers=workers) == size
