"""Test files that other packages ship: read as they read them, or refused for the right reason.

Those in wheels are found where they are installed. Pillow and imagecodecs ship theirs in their
source packages only, which are looked for, unpacked, in a folder that `UPSTREAM_SOURCES` names:

    pip download --no-deps --no-binary pillow pillow==13.0.0 -d sources
    pip download --no-deps --no-binary imagecodecs imagecodecs==2026.3.6 -d sources
    (cd sources && for file in *.tar.gz; do tar xzf $file; done)
    UPSTREAM_SOURCES=sources pytest tests/imaging/test_upstream.py
"""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from pydicom import dcmread
from pydicom.pixels import pixel_array

from magenet_batch.errors import ImageError
from magenet_batch.imaging.read import read_image

LIST = Path(__file__).with_name("upstream.tsv")
LINES = [line.split("\t") for line in LIST.read_text().splitlines()]
_TOLERANCE = 3  # rounding of colour conversions and of lossy codecs


def path_of(name):
    package, _, rest = name.partition("/")
    sources = os.environ.get("UPSTREAM_SOURCES")
    if "-" in package:
        path = Path(sources, name) if sources else None
    else:
        found = importlib.util.find_spec(package)
        path = Path(found.origin).parent / rest if found else None
    if path is None or not path.is_file():
        pytest.skip(f"{name} is not here")
    return path


def as_others_read(path):
    """RGB pixels by pydicom or Pillow, over the full range; None if they cannot."""
    if path.suffix.lower() not in (".dcm", ".dic", ""):
        return as_pillow_reads(path)
    try:
        pixels = pixel_array(dcmread(path))
    except (RuntimeError, NotImplementedError, AttributeError):
        return None
    return pixels[..., None].repeat(3, 2) if pixels.ndim == 2 else pixels


def as_pillow_reads(path):
    """RGB pixels, upright; None where Pillow cannot read, or reads less of it."""
    try:
        with Image.open(path) as image:
            if image.has_transparency_data or image.mode not in ("1", "L", "P", "RGB"):
                return None
            return np.asarray((ImageOps.exif_transpose(image) or image).convert("RGB"))
    except (OSError, ValueError, SyntaxError):
        return None


@pytest.mark.parametrize(("name", "outcome", "words"), LINES, ids=[line[0] for line in LINES])
def test_upstream_files_are_read_or_refused_for_the_right_reason(name, outcome, words):
    path = path_of(name)
    if outcome != "read":
        with pytest.raises(ImageError) as caught:
            read_image(path)
        assert (caught.value.reason, str(caught.value)) == (outcome, words)
        return
    image = read_image(path)
    size = "x".join(map(str, image.size))
    assert f"{size} {image.bit_depth} bits {'; '.join(image.notes)}".strip() == words
    expected = as_others_read(path)
    if expected is None or "palette" in name:
        return
    mine = image.pixels.astype(np.float64)
    if image.format == "dicom" and image.dataset.PhotometricInterpretation == "MONOCHROME1":
        mine = np.iinfo(image.pixels.dtype).max - mine
    stored = image.bit_depth if image.format == "dicom" else 8 * image.pixels.itemsize
    scale = ((1 << stored) - 1) / np.iinfo(image.pixels.dtype).max  # pydicom does not scale
    if expected.dtype == np.uint8 and image.bit_depth == 16:
        return  # Pillow drops half of the bits
    assert np.abs(mine * scale - expected).max() <= _TOLERANCE


def test_the_list_is_long():
    assert len(LINES) > 1000 and sum(line[1] == "read" for line in LINES) > 600


def test_the_page_of_formats_counts_the_list():
    said = (Path(__file__).parents[2] / "docs/formats.md").read_text(encoding="utf-8")
    for of_sources in (False, True):
        outcomes = [line[1] for line in LINES if ("-" in line[0].split("/")[0]) == of_sources]
        read = outcomes.count("read")
        assert f"{len(outcomes)}: {read} read, {len(outcomes) - read} refused" in said
