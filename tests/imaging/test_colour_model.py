"""YCbCr labelled as RGB, and the reverse, is found in eyes only, and can be overridden."""

import io

import cv2
import numpy as np
import pydicom
import pytest
from dicom_files import JPEG_2000, JPEG_LS, SECONDARY_CAPTURE, dicom
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from magenet_batch.imaging.read import read_image
from magenet_batch.phantom import make_phantom

NOTE = {"RGB": "YCbCr labelled as RGB", "YBR_FULL": "RGB labelled as YCbCr"}


def eye(seed=0):
    return np.asarray(make_phantom(seed, size=192).pixels)


def ybr(pixels):
    return np.ascontiguousarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]])


def labelled(samples, label, syntax=ExplicitVRLittleEndian):
    """Samples stored as they are under any label."""
    data = dicom(samples, syntax=syntax, sop_class=SECONDARY_CAPTURE)
    d = pydicom.dcmread(io.BytesIO(data))
    d.PhotometricInterpretation = label
    out = io.BytesIO()
    d.save_as(out)
    return out.getvalue()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEG_LS, JPEG_2000])
def test_an_eye_in_ycbcr_that_says_rgb_is_noted(seed, syntax):
    pixels = eye(seed)
    wrong = read_image(labelled(ybr(pixels), "RGB", syntax))
    assert NOTE["RGB"] in wrong.notes[0] and "--colour-model ybr" in wrong.notes[0]
    np.testing.assert_array_equal(wrong.pixels, ybr(pixels), "it is read as it says")
    right = read_image(labelled(ybr(pixels), "RGB", syntax), colour_model="ybr")
    assert right.notes == ()
    assert np.abs(right.pixels.astype(int) - pixels).max() <= 3


@pytest.mark.parametrize("seed", range(8))
def test_an_eye_in_rgb_that_says_ycbcr_is_noted(seed):
    data = labelled(eye(seed), "YBR_FULL")
    assert NOTE["YBR_FULL"] in read_image(data).notes[0]
    right = read_image(data, colour_model="rgb")
    assert right.notes == ()
    np.testing.assert_array_equal(right.pixels, eye(seed))


@pytest.mark.parametrize("label", ["YBR_ICT", "YBR_RCT"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEG_LS])
def test_labels_of_jpeg_2000_elsewhere_mean_rgb_or_are_noted(label, syntax):
    pixels = eye()
    image = read_image(labelled(pixels, label, syntax))
    assert image.notes == ()
    np.testing.assert_array_equal(image.pixels, pixels)
    data = labelled(ybr(pixels), label, syntax)
    assert f"YCbCr labelled as {label}" in read_image(data).notes[0]
    right = read_image(data, colour_model="ybr")
    assert right.notes == () and np.abs(right.pixels.astype(int) - pixels).max() <= 3


@pytest.mark.parametrize("model", [None, "ybr", "rgb"])
def test_mixed_colours_of_jpeg_2000_are_what_they_are(model):
    data = dicom(eye(), colours="YBR_RCT", syntax=JPEG_2000)
    np.testing.assert_array_equal(read_image(data, colour_model=model).pixels, eye())


@pytest.mark.parametrize("seed", range(8))
def test_right_labels_are_believed(seed):
    pixels = eye(seed)
    assert read_image(labelled(pixels, "RGB")).notes == ()
    assert read_image(labelled(ybr(pixels), "YBR_FULL")).notes == ()
    assert read_image(labelled(pixels, "RGB"), colour_model="rgb").notes == ()


@pytest.mark.parametrize("name", ["grey", "red-free", "black", "noise", "blue", "white"])
def test_other_pictures_are_not_doubted(name):
    pixels = eye()
    made = {
        "grey": pixels[..., 1:2].repeat(3, 2),
        "red-free": pixels * np.array([0, 1, 0], np.uint8),
        "black": np.zeros_like(pixels),
        "noise": np.random.default_rng(0).integers(0, 256, pixels.shape).astype(np.uint8),
        "blue": np.ascontiguousarray(pixels[..., ::-1]),
        "white": np.full_like(pixels, 255),
    }[name]
    assert read_image(labelled(made, "RGB")).notes == ()


def test_the_override_leaves_other_files_alone():
    grey = dicom(eye()[..., 1])
    np.testing.assert_array_equal(
        read_image(grey, colour_model="ybr").pixels, read_image(grey).pixels
    )
