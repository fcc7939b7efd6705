"""Degraded copies of images on disk, with a Parquet file that repeats them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from magenet_batch.degradation import DegradationParams, preset, sample_degradation
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.errors import ImageError, UsageError
from magenet_batch.evaluation.images import list_images
from magenet_batch.imaging.fov import find_fov
from magenet_batch.imaging.read import read_image
from magenet_batch.imaging.write import encode_image
from magenet_batch.randomness import generator
from magenet_batch.storage import write_atomic


class Copy(NamedTuple):
    """One copy to be made.

    Attributes:
        image: path of the original, relative to its folder.
        output: path of the copy, relative to the output.
        params: how it is degraded.
    """

    image: str
    output: str
    params: DegradationParams


def write_copies(
    folder: Path,
    output: Path,
    *,
    preset: str,
    copies: int,
    seed: int,
    replay: Path | None,
    say: Callable[[str], None],
) -> int:
    """Write degraded copies as PNG, and what was done to `degradations.parquet`.

    Args:
        folder: sharp images, with subfolders.
        output: where copies go; mirrors the folder.
        preset: what to draw degradations from.
        copies: of every image.
        seed: of the degradations.
        replay: repeat this file's degradations instead of drawing any.
        say: is told of images that cannot be used.

    Returns:
        How many copies were written.

    Raises:
        UsageError: if there is no image, no such preset, or the output is the folder itself.
    """
    if output.resolve() == folder.resolve():
        raise UsageError(
            f"The copies would lie among the originals in {folder}. Choose another folder with -o."
        )
    plan = (
        list(_replayed(replay))
        if replay
        else list(_drawn(folder, preset, copies=copies, seed=seed))
    )
    done = []
    for copy in plan:
        try:
            pixels = read_image(folder / copy.image).pixels
            fov = find_fov(pixels)
            if fov is None:
                raise ImageError("no_fov", "no field of view was found")
        except ImageError as error:
            say(f"{copy.image} is left out: {error}")
            continue
        degraded = degrade_pixels(pixels, copy.params, mask=fov.mask(*pixels.shape[:2]))
        target = output / copy.output
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, encode_image(degraded))
        done.append(copy)
    rows = [{"image": c.image, "output": c.output, "record": c.params.to_record()} for c in done]
    schema = pa.schema([(name, pa.string()) for name in ("image", "output", "record")])
    output.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), output / "degradations.parquet")
    return len(done)


def _drawn(folder: Path, name: str, *, copies: int, seed: int) -> Iterator[Copy]:
    how = preset(name)
    for index, path in enumerate(list_images(folder)):
        image = path.relative_to(folder)
        for number in range(copies):
            params = sample_degradation(generator(seed, f"copy {number}", index), how)
            suffix = f"_{number}" if copies > 1 else ""
            output = image.parent / f"{image.name.replace('.', '_')}{suffix}.png"
            yield Copy(image.as_posix(), output.as_posix(), params)


def _replayed(path: Path) -> Iterator[Copy]:
    try:
        rows = pq.read_table(path, columns=["image", "output", "record"]).to_pylist()
        copies = [
            Copy(r["image"], r["output"], DegradationParams.from_record(r["record"])) for r in rows
        ]
    except (pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise UsageError(f"{path}: no recorded degradations ({error}).") from error
    for copy in copies:
        for name in (copy.image, copy.output):
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise UsageError(f"{path}: names {name!r}, which is outside its folder.")
        yield copy
