"""Images are written whole, deterministically, and with what their source carried."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from magenet_batch.errors import ImageError
from magenet_batch.imaging.read import FundusImage, read_image
from magenet_batch.imaging.write import SOFTWARE, encode_image, output_format_for, write_atomic

_RNG = np.random.default_rng(0)
NOISY = _RNG.integers(0, 256, (40, 56, 3)).astype(np.uint8)
DEEP = _RNG.integers(0, 65536, (40, 56, 3)).astype(np.uint16)


def source(icc=b"profile" * 20, exif=None):
    if exif is None:
        block = Image.Exif()
        block[0x010F] = "Camera maker"
        exif = block.tobytes()
    return FundusImage(NOISY, "jpeg", 8, icc, exif, 1, "0" * 64)


@pytest.mark.parametrize("kind", ["png", "tiff"])
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


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff"])
def test_the_same_input_gives_the_same_bytes(kind):
    first = encode_image(NOISY, like=source(), format=kind)
    assert first == encode_image(NOISY, like=source(), format=kind)


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff"])
def test_colour_profile_and_software_are_written(kind):
    data = encode_image(NOISY, like=source(), format=kind)
    assert read_image(data).icc == b"profile" * 20
    assert SOFTWARE.encode() in data


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_exif_is_carried(kind):
    data = encode_image(NOISY, like=source(), format=kind)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.getexif()[0x010F] == "Camera maker"


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0" + bytes(100_000)])
def test_a_broken_exif_block_does_not_cost_the_image(exif):
    assert read_image(encode_image(NOISY, like=source(exif=exif), format="jpeg")).pixels.any()


def test_output_formats_follow_the_suffix():
    assert [output_format_for(s) for s in (".JPG", ".jpe", ".png", ".TIF", ".bmp", "")] == [
        "jpeg", "jpeg", "png", "tiff", "png", "png",
    ]  # fmt: skip


def test_write_makes_folders_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "a" / "b" / "image.png"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_write_honours_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "x", b"1")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_a_failed_write_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "image.png"
    write_atomic(path, b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ImageError, match="No space left") as caught:
        write_atomic(path, b"new")
    assert caught.value.reason == "unwritable"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "image.png", b"new")
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_a_folder_is_unwritable(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ImageError) as caught:
        write_atomic(tmp_path / "file" / "image.png", b"new")
    assert caught.value.reason == "unwritable"
