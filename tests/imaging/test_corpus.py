"""Hundreds of odd files: each gives exactly the right pixels, or the right reason."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from odd_dicoms import odd_dicoms
from odd_jpegs import odd_jpegs
from odd_rasters import odd_rasters
from odd_tiffs import odd_tiffs

from magenet_batch.errors import ImageError
from magenet_batch.imaging.read import detect_format, read_image

FORMATS = Path(__file__).parents[2] / "docs/formats.md"
CORPUS = [*odd_tiffs(), *odd_rasters(), *odd_jpegs(), *odd_dicoms()]


@pytest.mark.parametrize("odd", CORPUS, ids=[odd.name for odd in CORPUS])
def test_the_pixels_are_right_or_the_reason_is(odd):
    if odd.pixels is None:
        with pytest.raises(ImageError) as caught:
            read_image(odd.data, page=odd.page)
        assert caught.value.reason == odd.refusal[0]
        assert odd.refusal[1] in str(caught.value)
        return
    image = read_image(odd.data, page=odd.page)
    np.testing.assert_array_equal(image.pixels, odd.pixels)
    assert image.pixels.dtype == odd.pixels.dtype
    if odd.note:
        assert odd.note in "; ".join(image.notes)
    else:
        assert image.notes == ()


def kind_of(odd):
    if odd.name.startswith("mpo"):
        return "mpo"
    try:
        return detect_format(odd.data)
    except ImageError:
        return None


def test_the_page_of_formats_counts_the_corpus():
    said = FORMATS.read_text(encoding="utf-8")
    refused = sum(odd.pixels is None for odd in CORPUS)
    noted = sum(bool(odd.note) for odd in CORPUS)
    for number in (
        f"{len(CORPUS)} files",
        f"({len(CORPUS) - refused})",
        f"({noted})",
        f"({refused})",
    ):
        assert number in said
    counts = Counter(map(kind_of, CORPUS))
    names = {"tiff": "TIFF", "png": "PNG", "bmp": "BMP", "jpeg2000": "JPEG 2000", "webp": "WebP",
             "dicom": "DICOM", "jpeg": "JPEG", "mpo": "MPO"}  # fmt: skip
    for kind, name in names.items():
        assert f"{counts[kind]} {name}" in said


def test_the_corpus_is_large_and_its_names_are_unique():
    assert len(CORPUS) >= 500
    assert len({odd.name for odd in CORPUS}) == len(CORPUS)
    assert sum(odd.pixels is None for odd in CORPUS) >= 80


@pytest.mark.parametrize("odd", [o for o in CORPUS if o.name.startswith(("jpeg", "mpo"))][::7])
def test_measuring_a_reduced_image_tells_the_same(odd):
    """Odd headers are judged alike, whether a JPEG is decoded whole or at some eighths."""
    if odd.pixels is None:
        with pytest.raises(ImageError):
            read_image(odd.data, page=odd.page, reduced_to=8)
        return
    image = read_image(odd.data, page=odd.page, reduced_to=8)
    assert image.notes == read_image(odd.data, page=odd.page).notes
    assert image.size == (odd.pixels.shape[1], odd.pixels.shape[0])
