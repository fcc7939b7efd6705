"""Generations of a plan: the images that join a growing archive, and changes of earlier ones.

Each `--append` that finds a difference writes one Parquet file below `generations/`. Its rows are
rows of the plan with their place in it: at the end for new images, at an earlier image's place for
one that changed or was removed. Later rows replace earlier ones. Files never change; from time to
time all are merged into one, so that a folder that grows every minute stays quick to open.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from magenet_batch.records.layout import GENERATIONS
from magenet_batch.storage import Location, names_in, readable, remove_file, write_parquet

PLACE = "plan_index"
"""Column of a generation's file: index of the image in the whole plan."""
FILES_MAX = 32
"""Number of files from which they are merged."""
_KEY = b"magenet.generations"
_NAME = re.compile(r"(\d{6,})-(\d{6,})\.parquet")


class Generation(NamedTuple):
    """One addition to a plan.

    Attributes:
        number: its number; the first plan is generation 1.
        planned: when it was planned, ISO 8601.
        new: number of images that joined.
        changed: number of earlier images whose source, or row of the manifest, changed.
        removed: number of earlier images whose source was missing.
        shard_size: images per shard of the new images.
    """

    number: int
    planned: str
    new: int
    changed: int
    removed: int
    shard_size: int


class GenerationPart(NamedTuple):
    """The content of one file: one or more generations that follow each other.

    Attributes:
        generations: what they brought, oldest first.
        table: rows of the plan, with `PLACE`.
    """

    generations: tuple[Generation, ...]
    table: pa.Table


class Span(NamedTuple):
    """The images of one generation, cut into shards.

    Attributes:
        first_image: index of its first image.
        first_shard: number of its first shard.
        images: number of images.
        shard_size: images per shard.
    """

    first_image: int
    first_shard: int
    images: int
    shard_size: int

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.images // self.shard_size)

    def start(self, shard: int) -> int:
        """Index of the first image of a shard."""
        return self.first_image + (shard - self.first_shard) * self.shard_size

    def rows(self, shard: int) -> int:
        """Number of images in a shard."""
        return min(self.shard_size, self.first_image + self.images - self.start(shard))

    def place(self, index: int) -> tuple[int, int]:
        """Shard and position of an image."""
        shard, position = divmod(index - self.first_image, self.shard_size)
        return self.first_shard + shard, position


def spans_of(sizes: Sequence[tuple[int, int]]) -> tuple[Span, ...]:
    """Spans of generations.

    Args:
        sizes: number of images and images per shard of each generation, oldest first.

    Returns:
        The spans that hold images; the first is always there.
    """
    found: list[Span] = []
    image = shard = 0
    for images, shard_size in sizes:
        if images or not found:
            found.append(Span(image, shard, images, shard_size))
            image, shard = image + images, shard + found[-1].shards
    return tuple(found)


def span_at(spans: Sequence[Span], *, shard: int | None = None, image: int | None = None) -> Span:
    """The span that contains a shard, or an image."""
    if shard is not None:
        return spans[bisect_right(spans, shard, key=lambda span: span.first_shard) - 1]
    return spans[bisect_right(spans, image, key=lambda span: span.first_image) - 1]


def overlay(base: pa.Table, parts: Sequence[GenerationPart]) -> tuple[pa.Table, list[int]]:
    """Apply generations to a plan's table.

    Args:
        base: the table of the plan before them.
        parts: the generations, oldest first.

    Returns:
        The table with new rows at the end and later versions in place of earlier ones; and the
        indices of the rows that were replaced.
    """
    places = np.concatenate([part.table.column(PLACE).to_numpy() for part in parts])
    added = [part.table.drop_columns([PLACE]).cast(base.schema) for part in parts]
    joined = pa.concat_tables([base, *added])
    length = max(len(base), int(places.max(initial=-1)) + 1)
    rows = np.arange(len(joined))
    index = rows[:length].copy()
    index[places] = rows[len(base) :]  # of several rows for one place, the last stays
    known = np.maximum.accumulate(np.concatenate([[len(base) - 1], places]))[:-1]
    amended = np.unique(places[places <= known]).tolist()
    if np.array_equal(index, rows):
        return joined.combine_chunks(), amended
    return joined.take(pa.array(index)).combine_chunks(), amended


def read_generations(out: Location) -> list[GenerationPart]:
    """Read all generations after the first, oldest first.

    Raises:
        ValueError: a file is not that of a generation, or one is missing.
        OSError: a file cannot be read.
    """
    try:
        return _read_all(out)
    except FileNotFoundError:  # merged into another by a job that runs now
        return _read_all(out)


def _read_all(out: Location) -> list[GenerationPart]:
    parts: list[GenerationPart] = []
    last = 1
    for first, end, name in _files(out):
        if end <= last:
            continue  # merged into another; a crash kept it from being removed
        if first != last + 1:
            raise ValueError(f"generation {last + 1} is missing in {out / GENERATIONS}")
        parts.append(_read(out / GENERATIONS / name))
        last = end
    return parts


def save_generation(out: Location, part: GenerationPart) -> None:
    """Save the next generation; the file is the commit.

    Raises:
        StorageError: it cannot be written.
    """
    _write(out, part)
    if len(_files(out)) >= FILES_MAX:
        _merge(out)


def _merge(out: Location) -> None:
    """Merge all files into one; a crash in between leaves files that are ignored."""
    parts = read_generations(out)
    generations = tuple(one for part in parts for one in part.generations)
    kept = _write(
        out, GenerationPart(generations, pa.concat_tables([part.table for part in parts]))
    )
    for _, _, name in _files(out):
        if name != kept:
            remove_file(out / GENERATIONS / name, root=out)


def _files(out: Location) -> list[tuple[int, int, str]]:
    """First and last generation of every file, and its name; of equal starts the longest first."""
    found = [(m, m[0]) for name in names_in(out / GENERATIONS) if (m := _NAME.fullmatch(name))]
    return sorted(((int(m[1]), int(m[2]), n) for m, n in found), key=lambda f: (f[0], -f[1]))


def _write(out: Location, part: GenerationPart) -> str:
    first, last = part.generations[0].number, part.generations[-1].number
    name = f"{first:06d}-{last:06d}.parquet"
    facts = json.dumps([one._asdict() for one in part.generations])
    write_parquet(part.table.replace_schema_metadata({_KEY: facts}), out / GENERATIONS / name)
    return name


def _read(path: Location) -> GenerationPart:
    table = pq.read_table(readable(path))
    try:
        facts = json.loads((table.schema.metadata or {})[_KEY])
        generations = tuple(Generation(**one) for one in facts)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a generation of a plan") from error
    return GenerationPart(generations, table.replace_schema_metadata(None))
