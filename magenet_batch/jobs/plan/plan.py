"""The plan: the frozen list of a job's images, cut into shards."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from magenet_batch.dicomweb import is_dicomweb, masked
from magenet_batch.errors import JobError, UsageError
from magenet_batch.imaging.names import OutputFormat
from magenet_batch.jobs.options import JobOptions
from magenet_batch.jobs.plan.instances import list_instances
from magenet_batch.jobs.plan.listing import Choice, Found, Skipped, file_bytes, list_folder
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
from magenet_batch.jobs.plan.tables import STANDARD_INPUT, is_manifest
from magenet_batch.storage import (
    Location,
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
    ]
)
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
    """

    image_id: str
    source: str
    output: str
    raw: bytes | None = None

    @property
    def path(self) -> Path:
        """The path to open."""
        return Path(self.source if self.raw is None else os.fsdecode(self.raw))


@dataclass(frozen=True)
class Plan:
    """The images of a job in their order.

    Attributes:
        table: `PLAN_COLUMNS`, then the columns carried over from manifests.
        shard_size: images per shard.
        skipped: what the listing left out.
    """

    table: pa.Table
    shard_size: int
    skipped: Skipped = field(default_factory=Skipped, compare=False)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-len(self) // self.shard_size)

    @property
    def bytes(self) -> int:
        """Total size of all images whose size is known."""
        return int(pc.sum(self.table.column("bytes")).as_py() or 0)

    @property
    def extra_schema(self) -> pa.Schema:
        """The columns carried over from manifests."""
        return pa.schema(list(self.table.schema)[len(PLAN_COLUMNS) :])

    def shard_rows(self, shard: int) -> int:
        """Number of images in a shard."""
        return min(self.shard_size, len(self) - shard * self.shard_size)

    def slice(self, shard: int, positions: Sequence[int]) -> pa.Table:
        """The plan's rows at some positions of a shard."""
        start = shard * self.shard_size
        return self.table.take(
            pa.array([start + p for p in positions], pa.int64())
        ).combine_chunks()

    def output_folders(self, shards: Iterable[int]) -> list[str]:
        """Folders that hold the outputs of some shards, relative to the output folder."""
        chosen = np.isin(np.arange(len(self)) // self.shard_size, list(shards))
        outputs = self.table.column("output").filter(pa.array(chosen))
        result: list[str] = pc.unique(
            pc.replace_substring_regex(outputs, r"/[^/]*$", "")
        ).to_pylist()
        return result

    def save(self, path: Location) -> None:
        """Save the plan to a Parquet file, which never changes afterwards."""
        write_parquet(
            self.table.replace_schema_metadata({_SHARD_SIZE_KEY: str(self.shard_size)}), path
        )

    @classmethod
    def load(cls, path: Location) -> Plan:
        """Read a frozen plan."""
        try:
            table = pq.read_table(readable(path))
            size = int((table.schema.metadata or {})[_SHARD_SIZE_KEY])
        except (pa.ArrowInvalid, OSError, KeyError, ValueError) as error:
            raise JobError(
                f"{path}: the job's plan cannot be read ({error}). "
                "Start a new job in another output folder (-o)."
            ) from error
        return cls(table.replace_schema_metadata(None).combine_chunks(), size)


def tasks_of(part: pa.Table) -> list[Task]:
    """The tasks in some rows of a plan."""
    columns = [part.column(name).to_pylist() for name in Task._fields]
    return [Task(*values) for values in zip(*columns, strict=True)]


def extra_of(part: pa.Table) -> pa.Table:
    """Columns carried over from a manifest, of some rows of a plan."""
    return part.select(part.column_names[len(PLAN_COLUMNS) :])


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
    if table.num_rows == 0:
        archives = ", ".join(map(masked, options.archive))
        raise UsageError("\n".join([f"No images in {archives}.", *skipped.lines()]))
    refuse_collisions(table)
    refuse_inside(table, out=options.out_path)
    return Plan(table, options.shard_size or shard_size_for(table.num_rows), skipped)


def listed(options: JobOptions, skipped: Skipped) -> Iterator[pa.Table]:
    """List the archive block by block, in the plan's order, ignoring `options.limit`.

    Args:
        options: options of the job.
        skipped: counts what is left out.

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
            objects = list_store(given, choice=choice, skipped=skipped)
            name = given.rstrip("/").rpartition("/")[2]
            yield from _parts(objects, f"{name}/" if several else "", options)
            continue
        _refuse_web(given)
        refuse_other_schemes(given)
        archive = Path(given).expanduser().absolute()
        if archive.is_dir():
            refuse_own_folder(archive, given, out=options.out_path)
            skipped.own_output = is_below(options.out_path, archive.resolve())
            files = list_folder(archive, choice=choice, out=options.out_path, skipped=skipped)
            yield from _parts(files, f"{archive.name}/" if several else "", options)
            continue
        if not archive.is_file():
            raise UsageError(
                f"{given}: no such folder or file. ARCHIVE is a folder of images, a single image, "
                "a manifest (.parquet, .csv, .tsv, .txt, or - for a list on standard input), "
                "s3://BUCKET/..., or dicomweb+https://HOST/..."
            )
        refuse_own_folder(archive, given, out=options.out_path)
        yield _part(
            [Found(archive.name, str(archive), file_bytes(archive))], "",
            wanted=options.output_format,
        )  # fmt: skip


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
        path = Path(given).expanduser().absolute()
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
        [item.bytes for item in found], raw,
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
        raise UsageError(f"The manifests' columns do not match: {error}") from error
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
    lines.extend(f"  {source} -> {output}" for source, output in pairs)
    if len(plan) > 3:
        lines.append(f"  and {len(plan) - 3} more")
    if len(plan.extra_schema):
        lines.append(f"carried over to the rows: {', '.join(plan.extra_schema.names)}")
    lines.append("Nothing was written (--dry-run).")
    return "\n".join(lines)
