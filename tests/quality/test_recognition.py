"""What kind of picture is it?"""

import numpy as np
import pytest
import strangers

from magenet_batch.imaging.fov import find_fov
from magenet_batch.phantom import make_phantom
from magenet_batch.quality.limits import LEAST_SEEN
from magenet_batch.quality.recognition import (
    count_fields,
    is_drawing,
    recognise,
    reduced,
    vessels_seen,
)


def kind(pixels: np.ndarray):
    return recognise(pixels, find_fov(pixels))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("size", [96, 300, 700])
def test_phantoms_are_colour_photographs_of_one_retina(seed: int, size: int):
    pixels = make_phantom(seed, size=size).pixels
    fov = find_fov(pixels)
    assert recognise(pixels, fov) is None
    seen = vessels_seen(pixels, fov)
    assert (size < 200 and seen is None) or seen > LEAST_SEEN


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("picture", "what"),
    [("external_eye", "not_fundus"), ("vessel_mask", "not_fundus"), ("grey", "not_colour"),
     ("two_fields", "several_fields")],
)  # fmt: skip
def test_strangers_are_recognised(seed: int, picture: str, what: str):
    assert kind(getattr(strangers, picture)(seed)) == what


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("upright", [False, True])
def test_cropped_fields_that_touch_are_several(seed: int, upright: bool):
    pixels = make_phantom(seed, size=400).pixels
    one = pixels[60:340, 20:380]  # its corners remain dark, as in cameras that crop
    assert count_fields(reduced(one)) == 1
    both = np.hstack([one, one[:, ::-1]])
    assert count_fields(reduced(np.rot90(both) if upright else both)) == 2


@pytest.mark.parametrize("seed", range(4))
def test_a_long_crop_of_one_field_is_one(seed: int):
    pixels = make_phantom(seed, size=400).pixels
    assert count_fields(reduced(pixels[130:290])) == 1


@pytest.mark.parametrize("picture", ["document", "tomogram", "black"])
def test_what_has_no_field_of_view_is_told_by_that(picture: str):
    pixels = getattr(strangers, picture)()
    assert find_fov(pixels) is None and count_fields(reduced(pixels)) == 1


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_seen_on_a_surface(seed: int):
    pixels = strangers.fogged(seed)
    assert vessels_seen(pixels, find_fov(pixels)) < LEAST_SEEN


@pytest.mark.parametrize("channel", [0, 1])
def test_one_channel_alone_is_no_colour(channel: int):
    pixels = make_phantom(3, size=400).pixels.copy()
    fov = find_fov(pixels)
    pixels[..., [c for c in range(3) if c != channel]] = 0
    assert recognise(pixels, fov) == "not_colour"


def test_unusual_colours_are_colours():
    pixels = make_phantom(4, size=400).pixels
    fov = find_fov(pixels)
    assert recognise(np.ascontiguousarray(pixels[..., ::-1]), fov) is None


def test_depth_of_bits_changes_nothing():
    assert is_drawing(strangers.vessel_mask().astype(np.uint16) * 257)
    assert kind(strangers.grey().astype(np.uint16) * 257) == "not_colour"


def test_a_frame_without_anything_is_no_drawing():
    assert not is_drawing(np.zeros((64, 64, 3), np.uint8))
    assert count_fields(reduced(np.zeros((64, 64, 3), np.uint8))) == 1
