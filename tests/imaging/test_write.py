"""Images are written whole, deterministically, and with what their source carried."""

import io
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from magenet_batch.imaging.formats.base import full_range, to_bits
from magenet_batch.imaging.metadata import Provenance
from magenet_batch.imaging.names import OutputFormat, format_to_write, suffix_to_append
from magenet_batch.imaging.read import FundusImage, read_image
from magenet_batch.imaging.write import encode_image

KINDS = ["jpeg", "png", "tiff", "jpeg2000"]
BY = Provenance("small", "0123abcd")
_RNG = np.random.default_rng(0)
PROFILE = b"profile" * 2 + b"--RGB " + b"profile" * 20
NOISY = _RNG.integers(0, 256, (40, 56, 3)).astype(np.uint8)
DEEP = _RNG.integers(0, 65536, (40, 56, 3)).astype(np.uint16)


def source(icc=PROFILE, exif=None):
    if exif is None:
        block = Image.Exif()
        block[0x010F] = "Camera maker"
        exif = block.tobytes()
    return FundusImage(NOISY, "jpeg", 8, icc, exif, 1, "0" * 64)


@pytest.mark.parametrize("kind", ["png", "tiff", "jpeg2000"])
@pytest.mark.parametrize("pixels", [NOISY, DEEP], ids=["8 bit", "16 bit"])
def test_lossless_formats_keep_every_bit(kind, pixels):
    again = read_image(encode_image(pixels, like=None, format=kind))
    np.testing.assert_array_equal(again.pixels, pixels)
    assert again.pixels.dtype == pixels.dtype
    assert again.format == kind


def test_jpeg_keeps_colour_at_full_resolution():
    blocks = np.zeros((32, 32, 3), np.uint8)
    blocks[:, ::2] = (255, 0, 0)
    blocks[:, 1::2] = (0, 0, 255)
    again = read_image(encode_image(blocks, like=None, format="jpeg", quality=95)).pixels
    assert np.abs(again.astype(int) - blocks).mean() < 6


def test_jpeg_takes_the_upper_bits_of_sixteen():
    smooth = np.tile(np.linspace(0, 65535, 64).astype(np.uint16)[None, :, None], (32, 1, 3))
    again = read_image(encode_image(smooth, format="jpeg")).pixels
    assert np.abs(again.astype(int) - (smooth >> 8)).max() < 8


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_input_gives_the_same_bytes(kind):
    first = encode_image(NOISY, like=source(), format=kind)
    assert first == encode_image(NOISY, like=source(), format=kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metadata", ["keep", "minimal", "none"])
def test_the_policy_decides_what_is_carried_and_provenance_is_always_written(kind, metadata):
    data = encode_image(NOISY, like=source(), format=kind, metadata=metadata, provenance=BY)
    assert b"enhanced; weights small 0123abcd" in data
    image = read_image(data)
    assert image.icc == (None if metadata == "none" else PROFILE)
    if kind != "jpeg2000":
        assert (b"Camera maker" in (image.exif or b"")) == (metadata == "keep")
    assert (b"Camera maker" in data) == (metadata == "keep" and kind != "jpeg2000")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_enhanced_does_not_say_so(kind):
    data = encode_image(NOISY, format=kind)
    assert b"magenet" in data and b"enhanced" not in data


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_exif_tells_the_size_of_the_output_and_drops_the_old_thumbnail(kind):
    block = Image.Exif()
    block[0x010F], block[0x0112] = "Camera maker", 6
    block.get_ifd(0x8769).update({0xA002: 9999, 0xA003: 8888, 0x829A: 0.5})
    content = block.tobytes()
    data = encode_image(NOISY, like=source(exif=content), format=kind, provenance=BY)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        found = image.getexif()
        inner = found.get_ifd(0x8769)
        assert (inner[0xA002], inner[0xA003], float(inner[0x829A])) == (56, 40, 0.5)
        assert not found.get_ifd(1)


@pytest.mark.parametrize(
    "text", ["../../etc", "a\u202egnp", "x\r\ny", "Ünïç", "\x1b[2J", "y" * 9000]
)
def test_hostile_texts_stay_data(text):
    block = Image.Exif()
    block[0x010F] = text
    by = Provenance(text, text)
    for kind in KINDS:
        data = encode_image(NOISY, like=source(exif=block.tobytes()), format=kind, provenance=by)
        read_image(data)
    assert by.text.isprintable() and by.text.isascii() and len(by.text) < 250


def test_jpeg_2000_keeps_the_bits_of_its_source():
    twelve = FundusImage(DEEP, "jpeg2000", 12, None, None, 1, "0" * 64)
    stretched = full_range(DEEP >> 4, bits=12)
    again = read_image(encode_image(stretched, like=twelve, format="jpeg2000"))
    assert again.bit_depth == 12
    np.testing.assert_array_equal(again.pixels, stretched)


@given(st.integers(1, 16), st.data())
def test_stretching_to_the_full_range_can_be_undone(bits, data):
    value = np.array([[data.draw(st.integers(0, 2**bits - 1))]], np.uint16)
    np.testing.assert_array_equal(to_bits(full_range(value, bits=bits), bits=bits), value)


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0" + bytes(100_000)])
def test_a_broken_exif_block_does_not_cost_the_image(exif):
    assert read_image(encode_image(NOISY, like=source(exif=exif), format="jpeg")).pixels.any()


def test_names_mirror_the_archive_where_they_fit_the_format():
    kinds = (".jpg", ".tiff", ".jp2", ".dcm", "", ".17", ".bmp", ".gif")
    as_source = [suffix_to_append(s, wanted="source") for s in kinds]
    assert as_source == ["", "", "", "", "", "", ".png", ".png"]
    as_tiff = [suffix_to_append(s, wanted="tiff") for s in kinds]
    assert as_tiff == [".tif", "", ".tif", ".tif", ".tif", ".tif", ".tif", ".tif"]
    assert suffix_to_append(".jpeg", wanted="jpeg") == ""


def test_content_decides_the_format_unless_told():
    assert [format_to_write(s, renamed=False) for s in ("jpeg", "dicom", "bmp", "webp")] == [
        "jpeg", "dicom", "png", "png",
    ]  # fmt: skip
    assert format_to_write("jpeg", renamed=True) == "png"
    for wanted in get_args(OutputFormat)[1:]:
        assert format_to_write("dicom", renamed=True, wanted=wanted) == wanted
