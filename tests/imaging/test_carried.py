"""What a file says of its pixels is carried over only if it is true of the new ones."""

import io
import struct

import numpy as np
import pytest
import tifffile
from odd import samples
from odd_rasters import RGB, chunk, png
from odd_tiffs import BLACK, tiff
from PIL import Image, ImageCms

from magenet_batch.errors import ImageError
from magenet_batch.imaging.read import file_content, read_image
from magenet_batch.imaging.write import encode_image

PIXELS = samples(8).astype(np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY = SRGB[:16] + b"GRAY" + SRGB[20:]
CMYK = SRGB[:16] + b"CMYK" + SRGB[20:]
KINDS = ["jpeg", "png", "tiff", "jpeg2000"]


def pillow(kind, mode="RGB", **options):
    out = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("profile", "mode", "kept"), [(SRGB, "RGB", True), (GREY, "L", False), (CMYK, "CMYK", False)]
)
def test_only_profiles_of_rgb_are_carried(kind, profile, mode, kept):
    image = read_image(pillow("JPEG", mode, icc_profile=profile))
    assert image.icc == (SRGB if kept else None)
    named = profile[16:20].decode().strip()
    assert image.notes == (() if kept else (
        f"its colour profile is {named}, not RGB, and was left out",))  # fmt: skip
    again = read_image(encode_image(image.pixels, like=image, format=kind))
    assert again.icc == image.icc


@pytest.mark.parametrize("damage", [b"", b"short", b"\x1b[2J" * 40])
def test_a_damaged_profile_is_left_out_without_repeating_its_bytes(damage):
    image = read_image(pillow("PNG", icc_profile=damage) if damage else pillow("PNG"))
    assert image.icc is None
    assert image.notes == (("its colour profile is damaged and was left out",) if damage else ())


def density(data, kind):
    """Dots per inch as another reader sees them."""
    if kind == "tiff":
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages[0]
            assert int(page.tags.valueof(296)) == 2
            return tuple(a / b for a, b in (page.tags.valueof(282), page.tags.valueof(283)))
    with Image.open(io.BytesIO(data)) as image:
        return image.info.get("dpi")


def in_exif():
    block = Image.Exif()
    block[0x011A], block[0x011B], block[0x0128] = 300.0, 150.0, 2
    return block


SOURCES = {
    "jpeg": pillow("JPEG", dpi=(300, 150)),
    "png": png(PIXELS, bits=8, kind=RGB,
               chunks=chunk(b"pHYs", struct.pack(">IIB", 11811, 5906, 1))),
    "tiff in inches": tiff(PIXELS, bits=8, photometric=2, tags={
        282: (5, (300, 1)), 283: (5, (150, 1)), 296: (3, (2,))}),
    "tiff in centimetres": tiff(PIXELS, bits=8, photometric=2, tags={
        282: (5, (11811, 100)), 283: (5, (5906, 100)), 296: (3, (3,))}),
    "jpeg, in EXIF": pillow("JPEG", exif=in_exif()),
    "bmp": pillow("BMP", dpi=(300, 150)),
}  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff"])
def test_density_is_carried_and_follows_a_reduction(source, kind):
    image = read_image(SOURCES[source])
    assert image.density == pytest.approx((300, 150), rel=1e-3)
    whole = encode_image(image.pixels, like=image, format=kind)
    assert density(whole, kind) == pytest.approx((300, 150), rel=2e-3)
    half = np.ascontiguousarray(image.pixels[::2, ::2])
    assert density(encode_image(half, like=image, format=kind), kind) == pytest.approx(
        (150, 75), rel=2e-3
    )
    bare = encode_image(image.pixels, like=image, format=kind, metadata="minimal")
    assert read_image(bare).density is None


def test_a_jpeg_that_states_no_density_has_none():
    block = Image.Exif()
    block[0x010F] = "Camera maker"
    assert read_image(pillow("JPEG", exif=block)).density is None
    assert read_image(pillow("JPEG")).density is None


@pytest.mark.parametrize("unit", [0, 1, 9])
def test_a_ratio_without_a_unit_is_no_density(unit):
    tags = {282: (5, (3, 1)), 283: (5, (2, 1)), 296: (3, (unit,))}
    assert read_image(tiff(PIXELS, bits=8, photometric=2, tags=tags)).density is None


@pytest.mark.parametrize("fraction", [(0, 0), (1, 0), (0, 1), (2**32 - 1, 1)])
def test_an_absurd_density_is_ignored(fraction):
    tags = {282: (5, fraction), 283: (5, fraction), 296: (3, (2,))}
    assert read_image(tiff(PIXELS, bits=8, photometric=2, tags=tags)).density is None


def test_density_is_turned_with_the_picture():
    tags = {282: (5, (300, 1)), 283: (5, (150, 1)), 296: (3, (2,)), 274: (3, (6,))}
    assert read_image(tiff(PIXELS, bits=8, photometric=2, tags=tags)).density == (150, 300)


@pytest.mark.parametrize("gamma", [100_000, 45_455])
@pytest.mark.parametrize("metadata", ["keep", "minimal", "none"])
def test_the_gamma_of_a_png_is_carried(gamma, metadata):
    data = png(PIXELS, bits=8, kind=RGB, chunks=chunk(b"gAMA", struct.pack(">I", gamma)))
    image = read_image(data)
    assert image.gamma == gamma / 100_000
    again = encode_image(image.pixels, like=image, format="png", metadata=metadata)
    with Image.open(io.BytesIO(again)) as opened:
        assert opened.info.get("gamma") == (None if metadata == "none" else gamma / 100_000)


def test_srgb_and_a_profile_override_gamma():
    linear = chunk(b"gAMA", struct.pack(">I", 100_000))
    data = png(PIXELS, bits=8, kind=RGB, chunks=linear + chunk(b"sRGB", b"\0"))
    assert read_image(data).gamma is None


def test_a_huge_file_is_refused_before_it_is_loaded(tmp_path):
    import resource

    path = tmp_path / "sparse.tif"
    with path.open("wb") as file:
        file.write(tiff(samples(8, 1), bits=8, photometric=BLACK)[:4096])
        file.truncate(4_000_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageError, match=r"4\.0 GB") as caught:
        read_image(path)
    assert caught.value.reason == "too_large"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kilobytes
    path.write_bytes(b"no image" * 1000)
    with path.open("ab") as file:
        file.truncate(4_000_000_000)
    with pytest.raises(ImageError) as caught:
        file_content(path, max_pixels=1000)
    assert caught.value.reason == "not_an_image"
