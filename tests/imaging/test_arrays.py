"""What Python users give, taken rightly, given back in the same form, or refused in a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from magenet_batch.errors import EXIT_USAGE, ImageError, InputError
from magenet_batch.imaging.arrays import given_image
from magenet_batch.imaging.read import read_image

RGB = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
GREY = RGB[..., 0]


@pytest.mark.parametrize(
    "array",
    [
        RGB, RGB.astype(np.uint16) * 257, RGB[..., 0], RGB[..., :1], RGB.astype(">u2"),
        (RGB / 255).astype(np.float32), (RGB / 255).astype(np.float64), RGB[..., 1] / 255,
        (RGB / 255).astype(np.float16), RGB[:, ::-1],
    ],
    ids=["u8", "u16", "grey", "grey1", "big endian", "f32", "f64", "f grey", "f16", "view"],
)  # fmt: skip
def test_arrays_go_in_and_come_back_as_they_were(array):
    found = given_image(array)
    assert found.pixels.shape == (24, 32, 3) and found.pixels.dtype in (np.uint8, np.uint16)
    same = found.like_original(found.pixels)
    assert same.shape == array.shape
    np.testing.assert_array_equal(same, array)
    if array.dtype == np.uint8:
        np.testing.assert_array_equal(found.pixels, array if array.shape[-1:] == (3,) else
                                      np.repeat(array.reshape(24, 32, 1), 3, 2))  # fmt: skip


@given(
    npst.arrays(np.float32, (4, 5, 3), elements=st.floats(0, 1, width=32)),
    npst.arrays(np.uint16, (4, 5, 3)),
)
def test_floats_change_only_where_pixels_did(array, new):
    found = given_image(array)
    back = found.like_original(new)
    unchanged = new == found.pixels
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back[unchanged], array[unchanged])
    np.testing.assert_allclose(back[~unchanged], new[~unchanged] / 65535, atol=1e-6)


def test_grey_comes_back_as_the_mean_of_the_channels():
    found = given_image(RGB[..., 0])
    new = found.pixels.copy()
    new[0, 0] = (10, 20, 33)
    assert found.like_original(new)[0, 0] == 21


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "I;16"])
def test_pil_images_are_taken(mode):
    image = Image.fromarray(RGB)
    if mode == "I;16":
        image = Image.fromarray(RGB[..., 0].astype(np.uint16) * 257)
    elif mode != "RGB":
        image = image.convert(mode)
    assert image.mode == mode
    found = given_image(image)
    assert found.pixels.shape == (24, 32, 3)
    assert found.original.shape == ((24, 32, 3) if mode in ("RGB", "P") else (24, 32))


def test_matrices_and_arrays_that_mask_nothing_are_arrays():
    expected = given_image(GREY).pixels
    for image in (np.matrix(GREY), np.ma.masked_less(GREY, 0)):
        np.testing.assert_array_equal(given_image(image).pixels, expected)


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B"])
def test_pil_images_of_sixteen_bits_keep_them_in_every_byte_order(mode):
    deep = GREY.astype(np.uint16) * 257
    stored = deep.astype(">u2" if mode == "I;16B" else "<u2").tobytes()
    image = Image.frombytes(mode, GREY.shape[::-1], stored)
    np.testing.assert_array_equal(given_image(image).pixels[..., 0], deep)


def test_paths_and_read_images_are_taken(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    for image in (path, str(path), read_image(path), read_image(str(path))):
        np.testing.assert_array_equal(given_image(image).pixels, RGB)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((8, 8, 4), np.uint8), r"alpha channel with image\[\.\.\., :3\]"),
        (np.zeros((3, 8, 8), np.uint8), "channels come first"),
        (np.zeros((2, 8, 8, 3), np.uint8), "one by one"),
        (np.zeros(8, np.uint8), "is not an image"),
        (np.zeros((0, 8, 3), np.uint8), "no pixels"),
        (np.zeros((8, 8, 3), np.int64), "int64 does not define its range"),
        (np.zeros((8, 8), bool), "bool does not define its range"),
        (np.full((8, 8, 3), 255.0), "from 255 to 255. Divide"),
        (np.full((8, 8, 3), -0.1), "from -0.1 to -0.1"),
        (np.full((8, 8, 3), np.nan), "not finite"),
        (np.full((8, 8, 3), np.inf, np.float32), "not finite"),
        (Image.new("RGBA", (8, 8)), r"mode RGBA: convert it with image\.convert\('RGB'\)"),
        (Image.new("CMYK", (8, 8)), "mode CMYK"),
        (Image.new("1", (8, 8)), "mode 1"),
        (Image.new("I", (8, 8)), "mode I, which does not define its range: scale"),
        (Image.new("F", (8, 8)), "mode F, which does not define its range: scale"),
        (np.full((8, 8), 1 + 1e-7), "from 1.0000001 to 1.0000001"),
        (np.ma.masked_less(GREY, 9), "masked array hides some pixels"),
        (np.ma.masked_invalid(np.full((8, 8), np.nan)), "masked array hides some pixels"),
        ([[1, 2], [3, 4]], "list is not a supported image type"),
        (None, "NoneType is not a supported image type"),
    ],
)
def test_what_is_no_image_is_refused_in_a_sentence(image, says):
    with pytest.raises(InputError, match=says) as caught:
        given_image(image)
    assert isinstance(caught.value, ValueError) and caught.value.exit_code == EXIT_USAGE


def test_broken_files_have_their_reasons(tmp_path):
    with pytest.raises(ImageError) as caught:
        given_image(tmp_path / "nowhere.png")
    assert caught.value.reason == "unreadable"
    Image.effect_noise((64, 64), 50).save(tmp_path / "torn.png")
    whole = (tmp_path / "torn.png").read_bytes()
    (tmp_path / "torn.png").write_bytes(whole[: len(whole) // 2])
    with Image.open(tmp_path / "torn.png") as image, pytest.raises(ImageError) as caught:
        given_image(image)
    assert caught.value.reason == "corrupt"
