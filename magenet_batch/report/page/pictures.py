"""Small pictures for the report: sources, outputs, and what changed between them."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps, UnidentifiedImageError

from magenet_batch.errors import MagenetError
from magenet_batch.records.schema import Row
from magenet_batch.settings import MAX_PIXELS, ColourModel
from magenet_batch.storage import Location, StorePath, is_below

DIFFERENCE_PX = 480
"""Longest side of a difference picture: small pictures hold no finer detail worth more time."""
DETAIL = 0.012
"""Radius of the blur that tells detail from slow light, as a share of the longest side."""
FULL_COLOUR = 20.0
"""Change of detail, in steps of 255, that is drawn in full colour."""
BORDER_BELOW = 10
"""Pixels darker than this before and after lie outside of the field of view."""
SEEN_FROM, SEEN_SHARE = 0.25, 0.0005
"""From this share of the full colour on, and this share of the pixels, a change can be seen."""
DARKER_RGB, LIGHTER_RGB = (255, 140, 26), (64, 170, 255)


def _pixels(
    source: Path | bytes, page: int | None, colour_model: ColourModel | None
) -> Image.Image:
    """Decode a file that Pillow cannot show rightly (16 bit) or at all (DICOM)."""
    from magenet_batch.imaging.read import read_image

    pixels = read_image(source, max_pixels=MAX_PIXELS, page=page, colour_model=colour_model).pixels
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    return Image.fromarray(pixels)


def thumbnail(
    path: Location,
    *,
    longest: int,
    page: int | None = None,
    colour_model: ColourModel | None = None,
) -> Image.Image | None:
    """Read a file small.

    Args:
        path: an image file.
        longest: longest side of the result in pixels; smaller images stay as they are.
        page: which picture to show of a file that holds several.
        colour_model: what colour DICOM files hold, against their label; for originals only, since
            outputs are labelled rightly.

    Returns:
        An upright RGB image, or None when the file is missing or cannot be read.
    """
    try:
        source = path.read_bytes() if isinstance(path, StorePath) else path
        try:
            # A JPEG decoder itself shrinks by 2, 4 or 8: most of the time is saved there.
            with Image.open(_file(source), formats=["JPEG"]) as image:
                image.draft("RGB", (longest, longest))
                small = ImageOps.exif_transpose(image).convert("RGB")
        except UnidentifiedImageError:
            small = _pixels(source, page, colour_model)
    except (OSError, ValueError, MagenetError, SyntaxError, Image.DecompressionBombError):
        return None
    small.thumbnail((longest, longest), Image.Resampling.BOX, reducing_gap=2.0)
    return small


def _file(source: Path | bytes) -> Path | io.BytesIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source


def data_uri(image: Image.Image, *, quality: int = 80) -> str:
    """Encode as JPEG in a `data:` URI."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def inside(out: Location, name: str | None) -> Location | None:
    """A file that a row names, relative to the job's folder.

    Args:
        out: the job's output folder.
        name: such as the row's `output` or `evidence`.

    Returns:
        The file, or None when there is none or it lies outside of the folder.
    """
    if not name:
        return None
    base = out.resolve()
    try:
        for candidate in (base / name, base / "images" / name):
            resolved = candidate.resolve()
            if is_below(resolved, base) and resolved.is_file():
                return resolved
    except (OSError, ValueError):
        return None
    return None


def source_path(row: Row) -> Path | None:
    """Where a row's source lies; None when it is not a file that is here."""
    source = row.get("source")
    if not source or "://" in source:
        return None
    path = Path(source)
    try:
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None


def difference(
    before: Image.Image, after: Image.Image, *, longest: int = DIFFERENCE_PX
) -> tuple[Image.Image, bool]:
    """Draw what changed in the detail: structures, not light.

    Slow light and colour are taken out of the green channel, where vessels and red lesions show
    best. The remaining detail is compared: orange is detail that is darker than before
    (vessels or haemorrhages that came out more strongly, or were invented), blue is lighter
    (vessels or haemorrhages that faded, exudates that came out). Drawn over the enhanced image.

    Args:
        before: RGB, the original.
        after: RGB, of the same size.
        longest: longest side of the result in pixels; smaller images stay as they are.

    Returns:
        An RGB image, and whether anything is drawn that can be seen.
    """
    green = [image.getchannel("G") for image in (before, after)]
    for channel in green:
        channel.thumbnail((longest, longest), Image.Resampling.BILINEAR)
    radius = DETAIL * max(green[1].size)
    slow = [channel.filter(ImageFilter.BoxBlur(1.7 * radius)) for channel in green]
    fast = [
        np.asarray(g, np.int16) - np.asarray(s, np.int16) for g, s in zip(green, slow, strict=True)
    ]
    light = np.asarray(green[1])
    lit = np.maximum(np.asarray(green[0]), light) > BORDER_BELOW
    # the rim of the field of view is an edge of light, no structure
    rim = Image.fromarray(lit.astype(np.uint8) * 255).filter(ImageFilter.BoxBlur(radius))
    change = np.where(np.asarray(rim) > 250, fast[1] - fast[0], 0).astype(np.float32)
    strength = np.minimum(np.abs(change) / np.float32(FULL_COLOUR), 1)
    ground = (light * np.float32(0.45) + 10) * lit * (1 - strength)
    drawn = np.empty((*light.shape, 3), np.uint8)
    for index, (darker, lighter) in enumerate(zip(DARKER_RGB, LIGHTER_RGB, strict=True)):
        colour = np.where(change < 0, np.float32(darker), np.float32(lighter))
        drawn[..., index] = ground + colour * strength
    seen = float((strength > SEEN_FROM).mean()) >= SEEN_SHARE
    return Image.fromarray(drawn), seen
