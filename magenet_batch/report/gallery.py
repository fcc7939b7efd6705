"""Before/after pairs for the gallery: a bounded selection, as small embedded JPEGs."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from magenet_batch.errors import ImageError
from magenet_batch.report.collect import Collected
from magenet_batch.schema import Row
from magenet_batch.settings import MAX_PIXELS

THUMBNAIL_PX = 480
LEAD_PX = 880
LIMIT = 24
REASONS_WHY: dict[str, str] = {
    "gain": "largest gain",
    "flagged": "flagged for review",
    "worst": "lowest structure agreement",
    "random": "random sample",
}


@dataclass(frozen=True)
class Pair:
    """One image of the gallery.

    Attributes:
        row: its row.
        why: keys of `REASONS_WHY`: why it was selected.
        before: data URI of the source, None when it cannot be read any more.
        after: data URI of the output, likewise.
        width: of the thumbnails in pixels.
        height: of the thumbnails in pixels.
    """

    row: Row
    why: tuple[str, ...]
    before: str | None
    after: str | None
    width: int
    height: int


def _pixels(path: Path, page: int | None) -> Image.Image:
    """Decode a file that Pillow cannot show rightly (16 bit) or at all (DICOM)."""
    from magenet_batch.imaging.read import read_image

    pixels = read_image(path, max_pixels=MAX_PIXELS, page=page).pixels
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    return Image.fromarray(pixels)


def thumbnail(path: Path, *, longest: int, page: int | None = None) -> Image.Image | None:
    """Read a file small.

    Args:
        path: an image file.
        longest: longest side of the result in pixels; smaller images stay as they are.
        page: which picture to show of a file that holds several.

    Returns:
        An upright RGB image, or None when the file is missing or cannot be read.
    """
    try:
        try:
            # A JPEG decoder itself shrinks by 2, 4 or 8: most of the time is saved there.
            with Image.open(path, formats=["JPEG"]) as opened:
                opened.draft("RGB", (longest, longest))
                small = ImageOps.exif_transpose(opened).convert("RGB")
        except UnidentifiedImageError:
            small = _pixels(path, page)
    except (OSError, ValueError, ImageError, SyntaxError, Image.DecompressionBombError):
        return None
    small.thumbnail((longest, longest), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return small


def data_uri(image: Image.Image) -> str:
    """Encode as JPEG in a `data:` URI."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82, optimize=True, progressive=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def output_path(out: Path, row: Row) -> Path | None:
    """Where a row's output lies; None when it has none or points outside the job's folder."""
    name = row.get("output")
    if not name:
        return None
    base = out.resolve()
    for candidate in (base / name, base / "images" / name):
        resolved = candidate.resolve()
        if resolved.is_relative_to(base) and resolved.is_file():
            return resolved
    return None


def _source_path(row: Row) -> Path | None:
    """Where a row's source lies; None when it is not a file that is here."""
    source = row.get("source")
    if not source or "://" in source:
        return None
    path = Path(source)
    try:
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None


def _pair(out: Path, row: Row, why: tuple[str, ...], *, longest: int, page: int | None) -> Pair:
    source, output = _source_path(row), output_path(out, row)
    before = None if source is None else thumbnail(source, longest=longest, page=page)
    after = None if output is None else thumbnail(output, longest=longest)
    shown = after or before
    size = shown.size if shown is not None else (longest, longest)
    if before is not None and after is not None and before.size != after.size:
        before = before.resize(after.size, Image.Resampling.LANCZOS)
    return Pair(
        row=row,
        why=why,
        before=None if before is None else data_uri(before),
        after=None if after is None else data_uri(after),
        width=size[0],
        height=size[1],
    )


def select(found: Collected) -> list[tuple[Row, tuple[str, ...]]]:
    """Choose the gallery's images: some of every kind, each once, with all reasons for it.

    Args:
        found: the collected rows.

    Returns:
        `(row, reasons)`, in the order in which they are shown.
    """
    ranked: dict[str, list[Row]] = {why: top.rows() for why, top in found.picks.items()}
    chosen: dict[str, tuple[Row, list[str]]] = {}
    for place in range(max((len(r) for r in ranked.values()), default=0)):
        for why in REASONS_WHY:
            if place >= len(ranked[why]):
                continue
            row = ranked[why][place]
            known: Any = chosen.get(row["image_id"])
            if known is not None:
                known[1].append(why)
            elif len(chosen) < LIMIT:
                chosen[row["image_id"]] = (row, [why])
    return [(row, tuple(why)) for row, why in chosen.values()]


def make_gallery(found: Collected) -> list[Pair]:
    """Read and encode the gallery's images.

    The first one leads the page: the largest gain that nothing was flagged on, in more pixels.

    Args:
        found: the collected rows.

    Returns:
        At most `LIMIT` pairs.
    """
    chosen = select(found)
    lead = next((i for i, (row, _) in enumerate(chosen) if not row.get("flags")), 0)
    chosen.insert(0, chosen.pop(lead)) if chosen else None
    page = found.run.options.get("page")
    page = page if isinstance(page, int) and page > 0 else None
    return [
        _pair(found.out, row, why, longest=LEAD_PX if number == 0 else THUMBNAIL_PX, page=page)
        for number, (row, why) in enumerate(chosen)
    ]
