"""Images are read whole and upright, or refused with a reason."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from dicom_files import dicom
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from magenet_batch.errors import REASONS, ImageError
from magenet_batch.imaging.formats import FORMATS
from magenet_batch.imaging.formats.base import PIXELS_PER_BYTE
from magenet_batch.imaging.read import detect_format, read_image

_ROWS, _COLUMNS = np.mgrid[:48, :64]
PICTURE = np.stack([_COLUMNS * 3, _ROWS * 4, _ROWS + _COLUMNS], 2).astype(np.uint8)
PROFILE = b"profile" * 2 + b"--RGB " + b"profile" * 20
DEEP = PICTURE.astype(np.uint16) * 257 + 3


def with_pillow(kind, mode="RGB", **options):
    out = io.BytesIO()
    Image.fromarray(PICTURE).convert(mode).save(out, kind, **options)
    return out.getvalue()


def with_tifffile(pixels, **options):
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, **options)
    return out.getvalue()


def png16():
    import imagecodecs

    return bytes(imagecodecs.png_encode(DEEP))


def jpeg2000(pixels, **options):
    import imagecodecs

    return bytes(imagecodecs.jpeg2k_encode(pixels, level=0, **options))


LOSSLESS = {
    "jpeg 2000": jpeg2000(PICTURE),
    "jpeg 2000 codestream": jpeg2000(PICTURE, codecformat="J2K"),
    "jpeg 2000 tiles": with_pillow("JPEG2000", tile_size=(32, 32)),
    "dicom": dicom(PICTURE),
    "png": with_pillow("PNG"),
    "png with alpha": with_pillow("PNG", "RGBA"),
    "bmp": with_pillow("BMP"),
    "webp": with_pillow("WEBP", lossless=True),
    "tiff": with_tifffile(PICTURE, photometric="rgb"),
    "tiff lzw": with_tifffile(PICTURE, photometric="rgb", compression="lzw"),
    "tiff deflate": with_tifffile(PICTURE, photometric="rgb", compression="zlib", predictor=True),
    "tiff tiles": with_tifffile(PICTURE, photometric="rgb", tile=(16, 16)),
    "tiff planes": with_tifffile(
        np.moveaxis(PICTURE, 2, 0), photometric="rgb", planarconfig="separate"
    ),
    "bigtiff": with_tifffile(PICTURE, photometric="rgb", bigtiff=True),
    "tiff big-endian": with_tifffile(PICTURE, photometric="rgb", byteorder=">"),
}
LOSSY = {
    "jpeg": with_pillow("JPEG", quality=95, subsampling=0),
    "jpeg progressive": with_pillow("JPEG", quality=95, subsampling=0, progressive=True),
    "jpeg cmyk": with_pillow("JPEG", "CMYK", quality=95),
    "tiff jpeg": with_tifffile(PICTURE, photometric="rgb", compression="jpeg"),
}
GREY = {
    "jpeg": with_pillow("JPEG", "L", quality=95),
    "png": with_pillow("PNG", "L"),
    "png with alpha": with_pillow("PNG", "LA"),
    "tiff": with_pillow("TIFF", "L"),
}
ALL = {
    **LOSSLESS,
    **{f"{k}, lossy": v for k, v in LOSSY.items()},
    "png16": png16(),
    "jpeg 2000, 16 bits": jpeg2000(DEEP),
}


def reason(data, **options):
    with pytest.raises(ImageError) as caught:
        read_image(data, **options)
    assert caught.value.reason in REASONS
    assert str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_give_the_same_pixels(name):
    image = read_image(LOSSLESS[name])
    np.testing.assert_array_equal(image.pixels, PICTURE)
    assert image.bit_depth == 8
    assert image.bytes == len(LOSSLESS[name])
    assert len(image.sha256) == 64


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_formats_come_near(name):
    pixels = read_image(LOSSY[name]).pixels.astype(int)
    assert pixels.shape == PICTURE.shape
    assert np.abs(pixels - PICTURE).mean() < 5


@pytest.mark.parametrize("name", GREY)
def test_grey_becomes_three_equal_channels(name):
    pixels = read_image(GREY[name]).pixels
    assert pixels.shape == PICTURE.shape
    assert (pixels == pixels[..., :1]).all()


def test_sixteen_bits_are_kept():
    for data in (png16(), with_tifffile(DEEP, photometric="rgb"), jpeg2000(DEEP)):
        image = read_image(data)
        np.testing.assert_array_equal(image.pixels, DEEP)
        assert image.bit_depth == 16


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured_and_reset(orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = with_pillow("PNG", exif=exif)
    with Image.open(io.BytesIO(data)) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    image = read_image(data)
    np.testing.assert_array_equal(image.pixels, expected)
    again = Image.Exif()
    again.load(image.exif)
    assert again.get(0x0112, 1) == 1


def test_colour_profile_and_exif_are_handed_on():
    exif = Image.Exif()
    exif[0x010F] = "Camera maker"
    image = read_image(with_pillow("JPEG", icc_profile=PROFILE, exif=exif))
    assert image.icc == PROFILE
    assert b"Camera maker" in image.exif


def test_files_are_read_by_content_not_by_name(tmp_path):
    path = tmp_path / "lie.tif"
    path.write_bytes(LOSSLESS["png"])
    assert read_image(path).format == "png"


def test_what_cannot_be_read_has_a_reason(tmp_path):
    assert reason(b"") == "empty"
    assert reason(b"these are words, not pixels") == "not_an_image"
    assert reason(tmp_path / "missing.jpg") == "unreadable"
    assert reason(tmp_path) == "unreadable"
    assert reason(tmp_path / "a\0b.jpg") == "unreadable"
    assert reason(b"GIF89a" + bytes(20)) == "unsupported"
    assert reason(bytes(128) + b"DICM") == "corrupt"
    assert reason(with_tifffile(PICTURE.astype(np.float32), photometric="rgb")) == "unsupported"
    assert reason(with_tifffile(np.stack([PICTURE] * 3), photometric="rgb")) == "unsupported"
    assert reason(b"\xff\xd8\xff" + bytes(50)) == "corrupt"


@pytest.mark.parametrize("name", ALL)
def test_too_many_pixels_are_refused_before_decoding(name):
    assert reason(ALL[name], max_pixels=48 * 64 - 1) == "too_large"
    assert read_image(ALL[name], max_pixels=48 * 64).pixels.shape == PICTURE.shape


def test_a_header_that_claims_much_costs_little():
    data = bytearray(LOSSLESS["png"])
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    assert reason(bytes(data)) == "too_large"


def lying_jpeg(height, width, *, stored):
    """A JPEG of as many bytes whose header claims another size."""
    data = LOSSY["jpeg"]
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :] + bytes(stored)


def test_a_header_just_under_the_limit_is_held_against_the_bytes():
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert reason(lying_jpeg(14_000, 14_000, stored=100_000)) == "corrupt"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_even_a_black_photograph_holds_fewer_pixels_per_byte(subsampling, progressive):
    black = Image.fromarray(np.zeros((2400, 2400, 3), np.uint8))
    out = io.BytesIO()
    black.save(out, "JPEG", subsampling=subsampling, optimize=True, progressive=progressive)
    assert 2400 * 2400 / len(out.getvalue()) < PIXELS_PER_BYTE
    assert not read_image(out.getvalue()).pixels.any()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.8, 0.97])
def test_truncated_files_are_refused(name, share):
    data = ALL[name]
    assert reason(data[: int(share * len(data))]) in ("corrupt", "not_an_image")


def test_a_stack_of_pages_that_lost_its_tail_is_not_taken_for_one_page():
    data = with_tifffile(np.stack([PICTURE] * 3), photometric="rgb")
    assert reason(data[: int(0.9 * len(data))]) == "corrupt"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_bytes_whatever_raise_anything_else(data):
    content = bytearray(ALL[data.draw(st.sampled_from(sorted(ALL)))])
    reach = data.draw(st.sampled_from([64, 300, len(content)]))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, min(reach, len(content)) - 1))] = data.draw(
            st.integers(0, 255)
        )
    try:
        image = read_image(bytes(content), max_pixels=1_000_000)
    except ImageError as error:
        assert error.reason in REASONS
    else:
        assert image.pixels.ndim == 3
        assert image.pixels.shape[2] == 3


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0+", b"BM"]), st.binary()
)
def test_no_bytes_after_a_known_beginning_raise_anything_else(beginning, rest):
    with pytest.raises(ImageError):
        read_image(beginning + rest)


def test_formats_are_detected():
    assert {detect_format(data) for data in ALL.values()} == {found.name for found in FORMATS}
