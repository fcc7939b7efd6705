"""The plan: the frozen list of a job's images, cut into shards."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from magenet_batch.dicomweb import is_dicomweb, masked
from magenet_batch.errors import JobError, UsageError, printable
from magenet_batch.imaging.names import OutputFormat
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.generations import (
    Generation,
    GenerationPart,
    Span,
    overlay,
    read_generations,
    span_at,
    spans_of,
)
from magenet_batch.jobs.plan.instances import list_instances
from magenet_batch.jobs.plan.listing import (
    Choice,
    Found,
    Skipped,
    file_version,
    list_folder,
    single_image,
)
from magenet_batch.jobs.plan.manifest import read_manifest
from magenet_batch.jobs.plan.objects import list_store
from magenet_batch.jobs.plan.outputs import (
    output_name,
    refuse_collisions,
    refuse_inside,
    refuse_own_folder,
    refuse_own_place,
)
from magenet_batch.jobs.plan.shards import shard_size_for
from magenet_batch.jobs.plan.tables import MANIFEST_SUFFIXES, STANDARD_INPUT, is_manifest
from magenet_batch.storage import (
    Location,
    expanded,
    is_below,
    is_store,
    readable,
    refuse_other_schemes,
    write_parquet,
)

PLAN_COLUMNS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("output", pa.string(), nullable=False),
        pa.field("bytes", pa.int64()),
        pa.field("raw", pa.binary()),  # bytes of a path that is not UTF-8, else null
        pa.field("modified_ns", pa.int64()),
        pa.field("removed", pa.string()),  # when it was missing from a growing archive
    ]
)
DATED_COLUMNS = ("modified_ns", "removed")
"""Columns that differ in a copy of an archive, or in an older plan are missing."""
BLOCK = 65_536
"""Number of images of a folder that are converted to a table at a time."""
_SHARD_SIZE_KEY = b"magenet.shard_size"


class Task(NamedTuple):
    """One image to process.

    Attributes:
        image_id: its stable identity.
        source: location of the source, as text.
        output: name of the output, relative to the output folder.
        raw: bytes of a path that is not UTF-8, else None.
        version: size and time of the source when it was planned, if known.
        removed: when the source was missing from a growing archive, ISO 8601; None otherwise.
    """

    image_id: str
    source: str
    output: str
    raw: bytes | None = None
    version: str | None = None
    removed: str | None = None

    @property
    def path(self) -> Path:
        """The path to open."""
        return Path(self.source if self.raw is None else os.fsdecode(self.raw))


@dataclass(frozen=True)
class Plan:
    """The images of a job in their order.

    Images that joined later (`generations`) follow in shards of their own, so an image never
    changes its shard or its position.

    Attributes:
        table: `PLAN_COLUMNS`, then the columns carried over from manifests.
        shard_size: images per shard of the first generation.
        skipped: what the listing left out.
        later: generations after the first, oldest first.
        amended: index of every image that a later generation changed, ascending.
    """

    table: pa.Table
    shard_size: int
    skipped: Skipped = field(default_factory=Skipped, compare=False)
    later: tuple[Generation, ...] = ()
    amended: tuple[int, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def _spans(self) -> tuple[Span, ...]:
        first = len(self) - sum(one.new for one in self.later)
        return spans_of([(first, self.shard_size), *((g.new, g.shard_size) for g in self.later)])

    @property
    def generations(self) -> int:
        """Number of generations."""
        return 1 + len(self.later)

    @property
    def present(self) -> int:
        """Number of images that are not known to be missing from the archive."""
        return int(self.table.column("removed").null_count)

    @property
    def shards(self) -> int:
        """Number of shards."""
        last = self._spans[-1]
        return last.first_shard + last.shards

    @property
    def bytes(self) -> int:
        """Total size of all images whose size is known."""
        return int(pc.sum(self.table.column("bytes")).as_py() or 0)

    @property
    def extra_schema(self) -> pa.Schema:
        """The columns carried over from manifests."""
        return pa.schema(list(self.table.schema)[len(PLAN_COLUMNS) :])

    def shard_start(self, shard: int) -> int:
        """Index of the first image of a shard."""
        return span_at(self._spans, shard=shard).start(shard)

    def shard_rows(self, shard: int) -> int:
        """Number of images in a shard."""
        return span_at(self._spans, shard=shard).rows(shard)

    def place(self, index: int) -> tuple[int, int]:
        """Shard and position of an image."""
        return span_at(self._spans, image=index).place(index)

    @cached_property
    def amended_positions(self) -> dict[int, list[int]]:
        """Positions of the images that a later generation changed, by shard."""
        found: dict[int, list[int]] = {}
        for index in self.amended:
            shard, position = self.place(index)
            found.setdefault(shard, []).append(position)
        return found

    def slice(self, shard: int, positions: Sequence[int]) -> pa.Table:
        """The plan's rows at some positions of a shard."""
        start = self.shard_start(shard)
        return self.table.take(
            pa.array([start + p for p in positions], pa.int64())
        ).combine_chunks()

    def output_folders(self, shards: Iterable[int]) -> list[str]:
        """Folders that hold the outputs of some shards, relative to the output folder."""
        chosen = np.zeros(len(self), bool)
        for shard in shards:
            start = self.shard_start(shard)
            chosen[start : start + self.shard_rows(shard)] = True
        outputs = self.table.column("output").filter(pa.array(chosen))
        result: list[str] = pc.unique(
            pc.replace_substring_regex(outputs, r"/[^/]*$", "")
        ).to_pylist()
        return result

    def save(self, path: Location) -> None:
        """Save the first generation to a Parquet file, which never changes afterwards."""
        write_parquet(
            self.table.replace_schema_metadata({_SHARD_SIZE_KEY: str(self.shard_size)}), path
        )

    @classmethod
    def load(cls, path: Location) -> Plan:
        """Read a frozen plan, with all its generations."""
        try:
            table = pq.read_table(readable(path))
            size = int((table.schema.metadata or {})[_SHARD_SIZE_KEY])
            table = _with_versions(table.replace_schema_metadata(None)).combine_chunks()
            return cls(table, size).grown(read_generations(path.parent))
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            raise JobError(
                f"{path}: the job's plan cannot be read ({error}). "
                "Start a new job in another output folder (-o)."
            ) from error

    def grown(self, parts: Sequence[GenerationPart]) -> Plan:
        """The plan with further generations.

        Args:
            parts: the generations that follow those of this plan, oldest first.
        """
        if not parts:
            return self
        before = len(self)
        table, amended = overlay(self.table, parts)
        later = (*self.later, *(one for part in parts for one in part.generations))
        assert len(table) == before + sum(one.new for part in parts for one in part.generations)
        return replace(
            self, table=table, later=later, amended=tuple(sorted({*self.amended, *amended}))
        )


def _with_versions(table: pa.Table) -> pa.Table:
    """A plan's table with the columns of the sources' versions, which older plans lack."""
    for name in DATED_COLUMNS:
        if name not in table.column_names:
            column = PLAN_COLUMNS.field(name)
            place = PLAN_COLUMNS.get_field_index(name)
            table = table.add_column(place, column, pa.nulls(len(table), column.type))
    return table


def tasks_of(part: pa.Table) -> list[Task]:
    """The tasks in some rows of a plan."""
    names = ("image_id", "source", "output", "raw", "removed")
    columns = [part.column(name).to_pylist() for name in names]
    return [
        Task(key, source, output, raw, version, removed)
        for key, source, output, raw, removed, version in zip(
            *columns, _versions(part), strict=True
        )
    ]


def source_version(size: int | None, modified_ns: int | None) -> str | None:
    """Size and time of a source, as rows record them; None if both are unknown."""
    return None if size is None and modified_ns is None else f"{size}@{modified_ns}"


def _versions(part: pa.Table) -> list[str | None]:
    """Sizes and times of sources, as rows record them; None if both are unknown."""
    pairs = zip(*(part.column(n).to_pylist() for n in ("bytes", "modified_ns")), strict=True)
    return [source_version(size, modified_ns) for size, modified_ns in pairs]


def extra_of(part: pa.Table) -> pa.Table:
    """Columns carried over from a manifest, of some rows of a plan."""
    return part.select(part.column_names[len(PLAN_COLUMNS) :])


def planned_columns(part: pa.Table) -> pa.Table:
    """Columns that some rows of a plan and the rows of the job have in common, and may change."""
    columns = {"source_version": pa.array(_versions(part), pa.string())}
    columns["removed"] = part.column("removed")
    return pa.table(
        {**columns, **{name: part.column(name) for name in extra_of(part).column_names}}
    )


def make_plan(options: JobOptions) -> Plan:
    """List the archive.

    Args:
        options: options of the job.

    Returns:
        The plan.

    Raises:
        UsageError: there is nothing to do, two images would be written to the same file, originals
            could be overwritten, or a manifest is invalid.
    """
    skipped = Skipped()
    table = _joined([PLAN_COLUMNS.empty_table(), *listed(options, skipped)])
    if options.limit is not None:
        table = table.slice(0, options.limit).combine_chunks()
    table = table.filter(pa.array(settled(table, seconds=options.settle))).combine_chunks()
    if table.num_rows == 0:
        archives = ", ".join(map(masked, options.archive))
        lists = not skipped.suffixes.keys().isdisjoint(MANIFEST_SUFFIXES)
        hint = ["Is one of these files a manifest? Give its own name instead."] * lists
        raise UsageError("\n".join([f"No images in {archives}.", *skipped.lines(), *hint]))
    refuse_collisions(table)
    refuse_inside(table, out=options.out_path)
    return Plan(table, options.shard_size or shard_size_for(table.num_rows), skipped)


def settled(part: pa.Table, *, seconds: float) -> npt.NDArray[np.bool_]:
    """Wait, and tell which files kept their size and time: others are still being written.

    Args:
        part: some rows of a plan.
        seconds: how long to wait; 0 takes all files as they are.

    Returns:
        (N,) bool. What lies on a server arrived as a whole.
    """
    if not seconds or not len(part):
        return np.ones(len(part), bool)
    time.sleep(seconds)
    kept = (
        "://" in task.source or source_version(*file_version(task.path)) == task.version
        for task in tasks_of(part)
    )
    return np.fromiter(kept, bool, len(part))


def listed(
    options: JobOptions,
    skipped: Skipped,
    *,
    known: Set[str] = frozenset(),
    may_be_empty: bool = False,
) -> Iterator[pa.Table]:
    """List the archive block by block, in the plan's order, ignoring `options.limit`.

    Args:
        options: options of the job.
        skipped: counts what is left out.
        known: ids of images that folders leave out, because a plan has them already.
        may_be_empty: whether a location in a store may hold nothing yet, as a folder may.

    Yields:
        `PLAN_COLUMNS`, for folders at most `BLOCK` images at a time; for manifests all images at
        once, with their other columns.
    """
    choice = Choice(options.include, options.exclude)
    several = len(options.archive) > 1
    for given in options.archive:
        if is_dicomweb(given):
            instances = list_instances(given, choice=choice, skipped=skipped)
            yield from _parts(instances, "", options)  # a study's identifier is unique
            continue
        if is_manifest(given):
            yield _manifest(given, options, choice, skipped, several=several)
            continue
        if is_store(given):
            refuse_own_place(given, out=options.out_path)
            objects = list_store(given, choice=choice, skipped=skipped, may_be_empty=may_be_empty)
            name = given.rstrip("/").rpartition("/")[2]
            yield from _parts(objects, f"{name}/" if several else "", options)
            continue
        _refuse_web(given)
        refuse_other_schemes(given)
        archive = expanded(given).absolute()
        if archive.is_dir():
            refuse_own_folder(archive, given, out=options.out_path)
            skipped.own_output = is_below(options.out_path, archive.resolve())
            prefix = f"{archive.name}/" if several else ""
            fresh = choice._replace(known=_without(prefix, known))
            files = list_folder(archive, choice=fresh, out=options.out_path, skipped=skipped)
            yield from _parts(files, prefix, options)
            continue
        found = single_image(archive, given)
        refuse_own_folder(archive, given, out=options.out_path)
        yield _part([found], "", wanted=options.output_format)


def _without(prefix: str, known: Set[str]) -> Set[str]:
    """The relative paths of ids that start with an archive's prefix."""
    if not prefix:
        return known
    return {key.removeprefix(prefix) for key in known if key.startswith(prefix)}


def _refuse_web(given: str) -> None:
    """Refuse a web address, and say how DICOMweb servers are addressed."""
    if given.lower().startswith(("http://", "https://")):
        raise UsageError(
            f"{masked(f'dicomweb+{given}').removeprefix('dicomweb+')}: web addresses are not "
            "archives. For a DICOMweb server, write dicomweb+ before the address."
        )


def _manifest(
    given: str, options: JobOptions, choice: Choice, skipped: Skipped, *, several: bool
) -> pa.Table:
    """The plan's rows of a manifest, with its other columns."""
    if not is_store(given) and given != STANDARD_INPUT:
        refuse_other_schemes(given)
        path = expanded(given).absolute()
        if not path.exists():
            raise UsageError(f"{given}: no such manifest.")
        refuse_own_folder(path, given, out=options.out_path)
        given = str(path)
    found, extra = read_manifest(
        given, path_column=options.path_column, root=options.root, choice=choice, skipped=skipped
    )
    name = "list" if given == STANDARD_INPUT else PurePosixPath(given).stem
    part = _part(found, f"{name}/" if several else "", wanted=options.output_format)
    if extra is not None:
        for field_, column in zip(extra.schema, extra.columns, strict=True):
            part = part.append_column(field_.with_nullable(True), column)
    return part


def _parts(found: Iterable[Found], prefix: str, options: JobOptions) -> Iterator[pa.Table]:
    """Tables of at most `BLOCK` images: as Python objects, a million would take a gigabyte."""
    waiting = iter(found)
    while block := list(islice(waiting, BLOCK)):
        yield _part(block, prefix, wanted=options.output_format)


def _part(found: Sequence[Found], prefix: str, *, wanted: OutputFormat) -> pa.Table:
    """The plan's columns for some images of one input."""
    keys = _texts([prefix + item.key for item in found])
    given = [item.path for item in found]
    sources = _texts(given)
    raw = [
        None if text is path else os.fsencode(path)
        for text, path in zip(sources, given, strict=True)
    ]
    columns = (
        keys, sources, [output_name(key, wanted=wanted) for key in keys],
        [item.bytes for item in found], raw, [item.modified_ns for item in found],
        [None] * len(found),
    )  # fmt: skip
    arrays = [pa.array(c, f.type) for c, f in zip(columns, PLAN_COLUMNS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=PLAN_COLUMNS)


def _texts(paths: list[str]) -> list[str]:
    """Convert paths to valid text; paths that are valid are returned as the same objects."""
    try:
        "".join(paths).encode()  # all at once: one by one is slow, and nearly all are valid
    except UnicodeEncodeError:
        return [_text(path) for path in paths]
    return paths


def _text(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    return path


def _joined(parts: list[pa.Table]) -> pa.Table:
    try:
        joined = pa.concat_tables(parts, promote_options="default")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UsageError(f"The manifests' columns do not match: {error}.") from error
    return joined.replace_schema_metadata(None).combine_chunks()


def describe_plan(plan: Plan) -> str:
    """Describe what a plan would do, for `--dry-run`."""
    table = plan.table.slice(0, 3)
    lines = [
        *plan.skipped.lines(),
        f"{len(plan)} images ({plan.bytes / 1e6:.0f} MB) in {plan.shards} shards "
        f"of at most {plan.shard_size}",
    ]
    pairs = zip(table["source"].to_pylist(), table["output"].to_pylist(), strict=True)
    lines.extend(f"  {printable(source)} -> {printable(output)}" for source, output in pairs)
    if len(plan) > 3:
        lines.append(f"  and {len(plan) - 3} more")
    if len(plan.extra_schema):
        lines.append(f"carried over to the rows: {', '.join(plan.extra_schema.names)}")
    lines.append("Nothing was written (--dry-run).")
    return "\n".join(lines)
