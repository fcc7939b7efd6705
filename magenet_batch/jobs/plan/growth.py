"""Compare an archive that may have grown with the plan of its job, for `--append`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from magenet_batch.errors import UsageError
from magenet_batch.jobs.plan.generations import PLACE, Generation, GenerationPart
from magenet_batch.jobs.plan.outputs import refuse_collisions, refuse_inside
from magenet_batch.jobs.plan.plan import PLAN_COLUMNS, Plan, extra_of
from magenet_batch.jobs.plan.shards import shard_size_for
from magenet_batch.records.columns import same_values
from magenet_batch.storage import Location

_SHOWN = 3


class Growth(NamedTuple):
    """How an archive differs from the plan.

    Attributes:
        new: rows of the plan for images that it does not have.
        changed: rows for images whose version, or columns of the manifest, are other ones; also
            for images that are back after they were removed.
        changed_at: index in the plan of each of these.
        removed_at: index in the plan of images whose sources are missing.
    """

    new: pa.Table
    changed: pa.Table
    changed_at: npt.NDArray[np.int64]
    removed_at: npt.NDArray[np.int64]

    @classmethod
    def of_new(cls, new: pa.Table, plan: Plan) -> Growth:
        """A growth of nothing but new images."""
        none = np.zeros(0, np.int64)
        return cls(new, plan.table.slice(0, 0), none, none)

    def __bool__(self) -> bool:
        return bool(len(self.new) or len(self.changed) or len(self.removed_at))


@dataclass
class Comparison:
    """Compares listings with a plan block by block, so that the archive is never in memory twice.

    Args:
        plan: the plan with all its generations.
        times: whether another time of modification is a change; else only another size is.
    """

    plan: Plan
    times: bool = True
    _ids: pa.Array = field(init=False)
    _seen: npt.NDArray[np.bool_] = field(init=False)
    _new: list[pa.Table] = field(init=False, default_factory=list)
    _changed: list[pa.Table] = field(init=False, default_factory=list)
    _changed_at: list[npt.NDArray[np.int64]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._ids = self.plan.table.column("image_id").combine_chunks()
        self._seen = np.zeros(len(self.plan), bool)

    def add(self, block: pa.Table) -> None:
        """Compare some images of the archive.

        Args:
            block: rows as `plan.listed` yields them.

        Raises:
            UsageError: the columns of the manifest are other ones than those of the plan.
        """
        block = self._alike(block)
        found = pc.index_in(block.column("image_id"), value_set=self._ids)
        known = pc.is_valid(found)
        self._new.append(block.filter(pc.invert(known)))
        both, places = block.filter(known), found.filter(known).to_numpy().astype(np.int64)
        self._seen[places] = True
        planned = self.plan.table.take(pa.array(places))
        other = ~_same_versions(both, planned, times=self.times)
        self._changed.append(both.filter(pa.array(other)))
        self._changed_at.append(places[other])

    def result(self) -> Growth:
        """What differs, after every image was added."""
        there = _is_null(self.plan.table, "removed")
        none = self.plan.table.slice(0, 0)
        return Growth(
            pa.concat_tables([none, *self._new]).combine_chunks(),
            pa.concat_tables([none, *self._changed]).combine_chunks(),
            np.concatenate([np.zeros(0, np.int64), *self._changed_at]),
            np.flatnonzero(there & ~self._seen),
        )

    def _alike(self, block: pa.Table) -> pa.Table:
        """The block with the plan's schema."""
        schema = self.plan.table.schema
        try:
            joined = pa.concat_tables([self.plan.table.slice(0, 0), block], promote_options="none")
            return joined if joined.schema == schema else joined.cast(schema)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise UsageError(
                "The manifest's columns are not those that the job started with: "
                f"{', '.join(self.plan.extra_schema.names) or 'none'}. Give a manifest with the "
                "same columns, or choose another folder with -o."
            ) from error


def compare(plan: Plan, blocks: Iterable[pa.Table], *, times: bool = True) -> Growth:
    """How an archive differs from the plan of its job.

    Args:
        plan: the plan with all its generations.
        blocks: the archive as it is listed now.
        times: whether another time of modification is a change; else only another size is.
    """
    comparison = Comparison(plan, times)
    for block in blocks:
        comparison.add(block)
    return comparison.result()


def next_generation(
    plan: Plan, growth: Growth, *, shard_size: int | None, when: str, out: Location
) -> GenerationPart:
    """The generation that brings a plan to the state of its archive.

    Args:
        plan: the plan before it.
        growth: what differs.
        shard_size: images per shard; None chooses by the number of new images.
        when: now, ISO 8601.
        out: the output folder of the job.

    Raises:
        UsageError: two images would be written to the same file, or originals could be
            overwritten, or images are called otherwise than before.
    """
    gone = plan.table.take(pa.array(growth.removed_at))
    _refuse_other_names(gone, growth.new)
    refuse_inside(growth.new, out=out)
    if len(growth.new):
        refuse_collisions(pa.concat_tables([plan.table, growth.new]))
    column = PLAN_COLUMNS.get_field_index("removed")
    gone = gone.set_column(
        column, PLAN_COLUMNS.field(column), pa.array([when] * len(gone), pa.string())
    )
    places = np.arange(len(plan), len(plan) + len(growth.new))
    table = pa.concat_tables([growth.new, growth.changed, gone]).append_column(
        PLACE, pa.array(np.concatenate([places, growth.changed_at, growth.removed_at]))
    )
    size = shard_size or shard_size_for(max(1, len(growth.new)))
    facts = Generation(
        plan.generations + 1, when, len(growth.new), len(growth.changed), len(gone), size
    )
    return GenerationPart((facts,), table.combine_chunks())


def describe_growth(plan: Plan, growth: Growth) -> list[str]:
    """What differs, one line per kind, with a few names."""
    gone = plan.table.take(pa.array(growth.removed_at))
    kinds = (
        ("new", growth.new), ("changed", growth.changed),
        ("removed from the archive; their outputs and rows stay", gone),
    )  # fmt: skip
    return [
        f"{len(rows)} images {what}: {_names(rows.column('image_id').slice(0, _SHOWN + 1))}"
        for what, rows in kinds
        if len(rows)
    ]


def _names(some: pa.ChunkedArray) -> str:
    names: Sequence[str] = some.to_pylist()
    return ", ".join([*names[:_SHOWN], *(["..."] if len(names) > _SHOWN else [])])


def _same_versions(now: pa.Table, planned: pa.Table, *, times: bool) -> npt.NDArray[np.bool_]:
    """Whether images are as planned. One that cannot be looked at now counts as the same."""
    same = same_values(now.column("bytes"), planned.column("bytes"))
    if times:
        same &= same_values(now.column("modified_ns"), planned.column("modified_ns"))
    same |= _is_null(now, "bytes") & ~_is_null(planned, "bytes")
    for one, other in zip(extra_of(now).columns, extra_of(planned).columns, strict=True):
        same &= same_values(one, other)
    return same & _is_null(planned, "removed")


def _is_null(table: pa.Table, name: str) -> npt.NDArray[np.bool_]:
    result: npt.NDArray[np.bool_] = pc.is_null(table.column(name)).to_numpy()
    return result


def _refuse_other_names(gone: pa.Table, new: pa.Table) -> None:
    """Refuse sources that are called otherwise now: all of them would be enhanced again."""
    same = pc.is_in(new.column("source"), value_set=gone.column("source").combine_chunks())
    if pc.any(same).as_py():
        source = new.column("source").filter(same)[0].as_py()
        raise UsageError(
            f"{source} has another name in this archive than in the job. Names are relative to the "
            "folder that holds all images of a list: state that folder with --root, in a job with "
            "an output folder of its own."
        )
