"""DICOM: the same pixels, however they are stored, or a reason."""

import io

import numpy as np
import pydicom
import pytest
from dicom_files import (
    JPEG,
    JPEG_2000,
    JPEG_LOSSLESS,
    JPEG_LS,
    SECONDARY_CAPTURE,
    dicom,
    header,
    saved,
)
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from magenet_batch.errors import ImageError
from magenet_batch.imaging.read import read_image

_ROWS, _COLUMNS = np.mgrid[:48, :64]
PICTURE = np.stack([_COLUMNS * 3, _ROWS * 4, _ROWS + _COLUMNS], 2).astype(np.uint8)
GREY = PICTURE[..., 0]
DEEP = PICTURE.astype(np.uint16) * 257 + 3
LOSSLESS = [ExplicitVRLittleEndian, RLELossless, JPEG_LS, JPEG_2000]


def refused(data, **options):
    with pytest.raises(ImageError) as caught:
        read_image(data, **options)
    return caught.value.reason, str(caught.value)


def changed(data, **values):
    """The file with some attributes changed after the pixels were written."""
    d = pydicom.dcmread(io.BytesIO(data))
    for name, value in values.items():
        setattr(d, name, value)
    out = io.BytesIO()
    d.save_as(out)
    return out.getvalue()


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("pixels", [PICTURE, GREY, DEEP, DEEP[..., 1]], ids=lambda p: str(p.shape))
def test_lossless_syntaxes_give_the_same_pixels(syntax, pixels):
    image = read_image(dicom(pixels, syntax=syntax))
    expected = pixels if pixels.ndim == 3 else pixels[..., None].repeat(3, 2)
    np.testing.assert_array_equal(image.pixels, expected)
    assert (image.format, image.bit_depth) == ("dicom", 8 * pixels.dtype.itemsize)
    assert image.dataset.PatientID == "P-1" and "PixelData" not in image.dataset


@pytest.mark.parametrize("pixels", [GREY, DEEP[..., 1]], ids=["8 bit", "16 bit"])
def test_lossless_jpeg_is_read_in_grey(pixels):
    image = read_image(dicom(pixels, syntax=JPEG_LOSSLESS))
    np.testing.assert_array_equal(image.pixels[..., 0], pixels)


def test_planes_and_secondary_captures_are_read():
    data = dicom(PICTURE, planar=1, sop_class=SECONDARY_CAPTURE)
    np.testing.assert_array_equal(read_image(data).pixels, PICTURE)


def test_mixed_colours_of_jpeg_2000_are_unmixed():
    data = dicom(PICTURE, colours="YBR_RCT", syntax=JPEG_2000)
    np.testing.assert_array_equal(read_image(data).pixels, PICTURE)


@pytest.mark.parametrize(
    ("colours", "syntax", "most"),
    [
        ("YBR_FULL", ExplicitVRLittleEndian, 3),
        ("YBR_FULL_422", ExplicitVRLittleEndian, 8),
        ("YBR_FULL_422", JPEG, 16),
    ],
)
def test_luminance_and_chrominance_become_rgb(colours, syntax, most):
    pixels = read_image(dicom(PICTURE, colours=colours, syntax=syntax)).pixels.astype(int)
    assert np.abs(pixels - PICTURE).max() <= most


def test_jpeg_without_a_marker_is_what_dicom_says():
    import imagecodecs

    raw = bytes(imagecodecs.jpeg8_encode(PICTURE, 95, colorspace="YCBCR", outcolorspace="YCBCR"))
    jfif = raw.find(b"\xff\xe0")
    bare = raw[:jfif] + raw[jfif + 18 :]  # the numbers are as given; nothing says their colours
    d = pydicom.dcmread(io.BytesIO(dicom(PICTURE, syntax=JPEG)))
    d.PixelData = pydicom.encaps.encapsulate([bare])
    out = io.BytesIO()
    d.save_as(out)
    assert np.abs(read_image(out.getvalue()).pixels.astype(int) - PICTURE).max() <= 24
    as_ybr = read_image(changed(out.getvalue(), PhotometricInterpretation="YBR_FULL_422")).pixels
    assert np.abs(as_ybr.astype(int) - PICTURE).max() > 60


def test_white_may_be_low():
    data = dicom(255 - GREY, colours="MONOCHROME1")
    np.testing.assert_array_equal(read_image(data).pixels[..., 0], GREY)


def test_twelve_bits_are_stretched_and_remembered():
    twelve = (DEEP >> 4)[..., 0]
    image = read_image(dicom(twelve, bits=12))
    assert image.bit_depth == 12
    np.testing.assert_array_equal((image.pixels[..., 0] * (4095 / 65535)).round(), twelve)
    assert image.pixels[twelve == twelve.max()].min() == round(int(twelve.max()) * 65535 / 4095)


def test_a_palette_gives_its_colours():
    table = np.random.default_rng(0).integers(0, 256, (256, 3)).astype(np.uint16) * 257
    d = pydicom.dcmread(io.BytesIO(dicom(GREY, sop_class=SECONDARY_CAPTURE)))
    d.PhotometricInterpretation = "PALETTE COLOR"
    for channel, name in enumerate(("Red", "Green", "Blue")):
        d.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
        d.add_new(f"{name}PaletteColorLookupTableData", "OW", table[:, channel].tobytes())
    out = io.BytesIO()
    d.save_as(out)
    image = read_image(out.getvalue())
    np.testing.assert_array_equal(image.pixels, (table & 255).astype(np.uint8)[GREY])
    assert image.bit_depth == 8


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEG_LS, JPEG_2000])
def test_several_frames_are_refused_or_one_is_chosen(syntax):
    data = dicom(PICTURE // 2, syntax=syntax, frames=3)
    reason, said = refused(data)
    assert reason == "unsupported" and "3 pages" in said and "--page" in said
    np.testing.assert_array_equal(read_image(data, page=2).pixels, PICTURE // 2 + 1)
    assert "page 4 does not exist" in refused(data, page=4)[1]


def test_a_profile_is_handed_on():
    image = read_image(
        changed(dicom(PICTURE), ICCProfile=b"profile!" * 2 + b"RGB " + b"profile!" * 20)
    )
    assert image.icc == b"profile!" * 2 + b"RGB " + b"profile!" * 20


@pytest.mark.parametrize("syntax", [*LOSSLESS, JPEG])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.8, 0.97])
def test_truncated_files_are_refused(syntax, share):
    data = dicom(PICTURE, syntax=syntax)
    assert refused(data[: int(share * len(data))])[0] in ("corrupt", "not_an_image")


@pytest.mark.parametrize("syntax", [*LOSSLESS, JPEG])
def test_the_frame_must_be_what_the_header_says(syntax):
    lying = changed(dicom(PICTURE, syntax=syntax), Rows=49)
    assert refused(lying)[0] == "corrupt"
    assert refused(dicom(PICTURE, syntax=syntax), max_pixels=48 * 64 - 1)[0] == "too_large"


def test_what_is_not_read_is_said():
    assert "signed" in refused(changed(dicom(PICTURE), PixelRepresentation=1))[1]
    assert "HSV" in refused(changed(dicom(PICTURE), PhotometricInterpretation="HSV"))[1]
    report = header("1.2.840.10008.5.1.4.1.1.88.11")
    assert "Basic Text SR" in refused(saved(report))[1]
    assert "holds no image" in refused(saved(report))[1]
    film = dicom(PICTURE, syntax=JPEG).replace(JPEG.encode(), b"1.2.840.10008.1.2.4.60")
    assert refused(film)[0] == "unsupported"
