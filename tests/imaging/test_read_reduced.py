"""A JPEG that is only measured is decoded at some eighths of its size, and checked all the same."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from magenet_batch.errors import ImageError
from magenet_batch.imaging.fov import find_fov
from magenet_batch.imaging.read import read_image
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.measures import measure_quality

PHANTOM = make_phantom(3, size=1200).pixels
WIDE = np.ascontiguousarray(PHANTOM[200:1000])  # 1200 x 800


def encoded(pixels: np.ndarray, kind: str = "JPEG", *, turned: int = 1, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turned
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, exif=exif, **options)
    return out.getvalue()


JPEG = encoded(WIDE, quality=92)


@pytest.mark.parametrize(
    ("least", "size"),
    [
        (1000, (1200, 800)),
        (401, (1200, 800)),
        (400, (600, 400)),
        (201, (450, 300)),
        (200, (300, 200)),
        (100, (150, 100)),
        (10, (150, 100)),
    ],
)
def test_the_shorter_side_keeps_what_was_asked_for(least: int, size: tuple[int, int]):
    image = read_image(JPEG, reduced_to=least)
    height, width = image.pixels.shape[:2]
    assert (width, height) == size
    assert width * 800 == pytest.approx(height * 1200, rel=0.01)
    assert image.size == (1200, 800), "the row says how large the original is"


def test_it_is_reduced_by_as_much_as_may_be():
    assert read_image(JPEG, reduced_to=400).pixels.shape[:2] == (400, 600)
    assert read_image(JPEG, reduced_to=100).pixels.shape[:2] == (100, 150)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_it_is_the_same_picture_only_smaller(options: dict):
    data = encoded(WIDE, quality=92, **options)
    full, half = read_image(data), read_image(data, reduced_to=400)
    small = cv2.resize(full.pixels, (600, 400), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - half.pixels).mean() < 3
    assert (full.sha256, full.bytes, full.format, full.bit_depth, full.size) == (
        half.sha256, half.bytes, half.format, half.bit_depth, half.size,
    )  # fmt: skip


def test_grey_stays_grey_in_three_channels():
    image = read_image(encoded(WIDE[..., 1], quality=92), reduced_to=400)
    assert image.pixels.shape == (400, 600, 3)
    assert (image.pixels == image.pixels[..., :1]).all()


def test_measures_are_those_of_the_whole_picture():
    data = encoded(PHANTOM, quality=92)
    rows = []
    for least in (None, 600):
        pixels = read_image(data, reduced_to=least).pixels
        fov = find_fov(pixels)
        assert fov is not None
        rows.append(measure_quality(pixels, fov))
    assert pixels.shape[:2] == (600, 600), "the second was reduced"
    assert rows[1] == pytest.approx(rows[0], abs=0.04)


@pytest.mark.parametrize("turned", range(1, 9))
def test_it_stands_upright(turned: int):
    data = encoded(WIDE, turned=turned, quality=92)
    full, half = read_image(data), read_image(data, reduced_to=400)
    assert half.size == full.size == ((800, 1200) if turned > 4 else (1200, 800))
    height, width = half.pixels.shape[:2]
    assert (width, height) == (full.size[0] // 2, full.size[1] // 2)
    small = cv2.resize(full.pixels, (width, height), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - half.pixels).mean() < 3


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95, 0.999])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_file_that_is_cut_off_is_refused(share: float, progressive: bool):
    data = encoded(WIDE, quality=92, progressive=progressive)
    with pytest.raises(ImageError) as caught:
        read_image(data[: int(len(data) * share)], reduced_to=100)
    assert caught.value.reason == "corrupt"


def test_damage_that_the_full_decode_finds_is_found():
    rng = np.random.default_rng(0)
    verdicts = []
    for _ in range(30):
        damaged = bytearray(JPEG)
        for at in rng.integers(700, len(JPEG) - 2, 3):
            damaged[at] = int(rng.integers(256))
        verdicts.append([refused(bytes(damaged), least) for least in (None, 100)])
    assert all(whole == reduced for whole, reduced in verdicts)
    assert any(whole for whole, _ in verdicts), "some damage was found"


def refused(data: bytes, least: int | None) -> bool:
    try:
        read_image(data, reduced_to=least)
    except ImageError as error:
        assert error.reason == "corrupt"
        return True
    return False


def test_size_is_checked_by_the_whole_picture():
    with pytest.raises(ImageError) as caught:
        read_image(JPEG, reduced_to=100, max_pixels=1200 * 800 - 1)
    assert caught.value.reason == "too_large"
    assert read_image(JPEG, reduced_to=100, max_pixels=1200 * 800).size == (1200, 800)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_other_formats_are_read_whole(kind: str):
    data = encoded(WIDE, kind)
    full, asked = read_image(data), read_image(data, reduced_to=100)
    assert np.array_equal(full.pixels, asked.pixels)
    assert asked.full_size is None and asked.size == (1200, 800)


def test_four_colours_are_read_whole():
    out = io.BytesIO()
    Image.fromarray(WIDE).convert("CMYK").save(out, "JPEG")
    assert read_image(out.getvalue(), reduced_to=100).pixels.shape == (800, 1200, 3)
