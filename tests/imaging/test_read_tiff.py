"""The many ways in which a TIFF file stores the same colours."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from magenet_batch.errors import ImageError
from magenet_batch.imaging.read import read_image
from magenet_batch.imaging.write import encode_image

_ROWS, _COLUMNS = np.mgrid[:48, :64]
PICTURE = np.stack([_COLUMNS * 3, _ROWS * 4, _ROWS + _COLUMNS], 2).astype(np.uint8)
GREY = PICTURE[..., 0]


def with_tifffile(pixels, **options):
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, **options)
    return out.getvalue()


def with_pillow(mode):
    out = io.BytesIO()
    Image.fromarray(PICTURE).convert(mode).save(out, "TIFF")
    return out.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_honoured(orientation):
    tag = (274, "H", 1, orientation, True)
    data = with_tifffile(PICTURE, photometric="rgb", extratags=[tag])
    with Image.open(io.BytesIO(data)) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    np.testing.assert_array_equal(read_image(data).pixels, expected)


def test_a_palette_gives_its_eight_bit_colours():
    data = with_pillow("P")
    image = read_image(data)
    assert image.bit_depth == 8
    with Image.open(io.BytesIO(data)) as stored:
        np.testing.assert_array_equal(image.pixels, np.asarray(stored.convert("RGB")))


def test_a_palette_may_repeat_its_bits():
    entries = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
    data = with_tifffile(GREY, photometric="palette", colormap=entries)
    np.testing.assert_array_equal(read_image(data).pixels, GREY[..., None].repeat(3, 2))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_min_is_white_is_turned(dtype):
    grey = GREY.astype(dtype)
    data = with_tifffile(np.iinfo(dtype).max - grey, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(data).pixels, grey[..., None].repeat(3, 2))


def test_planes_in_tiles_of_sixteen_bits():
    deep = PICTURE.astype(np.uint16) * 257
    data = with_tifffile(
        np.moveaxis(deep, 2, 0), photometric="rgb", planarconfig="separate", tile=(16, 16),
        compression="zlib",
    )  # fmt: skip
    np.testing.assert_array_equal(read_image(data).pixels, deep)


def test_a_thumbnail_page_is_passed_over():
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as file:
        file.write(PICTURE, photometric="rgb")
        file.write(PICTURE[::4, ::4], photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(read_image(out.getvalue()).pixels, PICTURE)


def test_ycbcr_is_read_from_jpeg_strips():
    data = with_tifffile(PICTURE, photometric="ycbcr", compression="jpeg", subsampling=(1, 1))
    with Image.open(io.BytesIO(data)) as stored:
        expected = np.asarray(stored.convert("RGB")).astype(int)
    assert np.abs(read_image(data).pixels - expected).max() <= 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "zstd", "packbits"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_strips_tiles_and_compressions_round_trip(dtype, compression, tile, bigtiff):
    pixels = PICTURE.astype(dtype) * (257 if dtype == np.uint16 else 1)
    data = with_tifffile(
        pixels, photometric="rgb", compression=compression, tile=tile, bigtiff=bigtiff,
        predictor=compression in ("lzw", "zlib", "zstd") or None,
        rowsperstrip=None if tile else 7,
    )  # fmt: skip
    image = read_image(data)
    np.testing.assert_array_equal(image.pixels, pixels)
    again = read_image(encode_image(image.pixels, like=image, format="tiff"))
    np.testing.assert_array_equal(again.pixels, pixels)
    assert again.bit_depth == image.bit_depth == 8 * np.dtype(dtype).itemsize


def test_of_several_pages_one_is_chosen_or_none():
    data = with_tifffile(np.stack([PICTURE, PICTURE // 2, PICTURE // 3]), photometric="rgb")
    with pytest.raises(ImageError, match=r"3 pages.*--page") as caught:
        read_image(data)
    assert caught.value.reason == "unsupported"
    np.testing.assert_array_equal(read_image(data, page=3).pixels, PICTURE // 3)
    with pytest.raises(ImageError, match="page 4 does not exist"):
        read_image(data, page=4)
    alone = with_tifffile(PICTURE, photometric="rgb")
    np.testing.assert_array_equal(read_image(alone, page=4).pixels, PICTURE)


def test_a_tile_far_larger_than_the_image_is_refused_before_it_takes_memory():
    data = bytearray(with_tifffile(PICTURE, photometric="rgb", tile=(16, 16)))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        places = [file.pages[0].tags[n].valueoffset for n in ("TileWidth", "TileLength")]
    for at in places:
        data[at : at + 2] = (60_000).to_bytes(2, "little")
    with pytest.raises(ImageError):
        read_image(bytes(data))


def test_texts_of_the_camera_are_handed_on():
    tags = [(271, "s", 0, "Maker", True), (272, "s", 0, "Camera 1", True)]
    image = read_image(with_tifffile(PICTURE, photometric="rgb", extratags=tags))
    again = encode_image(image.pixels, like=image, format="tiff")
    with tifffile.TiffFile(io.BytesIO(again)) as file:
        assert file.pages[0].tags.valueof(272) == "Camera 1"
        assert file.pages[0].tags.valueof(305).startswith("magenet")
    with Image.open(io.BytesIO(encode_image(PICTURE, like=image, format="jpeg"))) as stored:
        assert stored.getexif()[271] == "Maker"


@pytest.mark.parametrize("mode", ["YCbCr", "LAB", "CMYK"])
def test_other_colours_are_refused_rather_than_read_wrong(mode):
    if mode == "LAB":
        data = bytearray(with_tifffile(PICTURE, photometric="rgb"))
        with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
            at = file.pages[0].tags["PhotometricInterpretation"].valueoffset
        data[at : at + 2] = (8).to_bytes(2, "little")
    else:
        data = with_pillow(mode)
    with pytest.raises(ImageError, match="convert it to RGB") as caught:
        read_image(bytes(data))
    assert caught.value.reason == "unsupported"
