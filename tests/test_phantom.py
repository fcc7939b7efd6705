import numpy as np
import pytest

from magenet_batch.phantom import KINDS, make_phantom


@pytest.mark.parametrize("size", [64, 96, 257])
def test_shapes_types_and_border(size):
    phantom = make_phantom(1, size=size, height=size - 3 if size > 70 else None)
    height = size - 3 if size > 70 else size
    assert phantom.pixels.shape == (height, size, 3)
    assert phantom.pixels.dtype == np.uint8
    assert phantom.fov.dtype == np.bool_
    assert phantom.fov.shape == (height, size)
    assert phantom.vessels.shape == (height, size)
    assert phantom.vessels.min() >= 0
    assert phantom.vessels.max() <= 1
    assert set(phantom.lesions) == set(KINDS)
    assert phantom.pixels[~phantom.fov].mean() < 12


def test_the_same_seed_gives_the_same_pixels():
    first, second = make_phantom(7, size=128), make_phantom(7, size=128)
    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.vessels, second.vessels)
    assert first.params == second.params
    assert not np.array_equal(first.pixels, make_phantom(8, size=128).pixels)


def test_the_same_seed_shows_the_same_eye_at_another_size():
    small, large = make_phantom(5, size=128), make_phantom(5, size=256)
    assert small.params == large.params
    halved = large.pixels.reshape(128, 2, 128, 2, 3).mean((1, 3))
    inside = small.fov
    difference = np.abs(halved - small.pixels)[inside].mean()
    assert difference < 8


@pytest.mark.parametrize("seed", range(12))
def test_every_phantom_looks_like_a_fundus(seed):
    phantom = make_phantom(seed, size=192)
    green = phantom.pixels[..., 1].astype(float)
    red = phantom.pixels[..., 0].astype(float)
    assert 0.35 < phantom.fov.mean() < 0.95
    assert red[phantom.fov].mean() > green[phantom.fov].mean()
    vessels = (phantom.vessels > 0.5) & phantom.fov
    assert 0.02 < vessels.sum() / phantom.fov.sum() < 0.25
    x, y = (round(v) for v in phantom.disc_centre)
    if 8 < x < 184 and 8 < y < 184 and phantom.fov[y - 8 : y + 9, x - 8 : x + 9].all():
        disc = green[y - 8 : y + 9, x - 8 : x + 9]
        assert np.percentile(disc, 80) > np.median(green[phantom.fov])


def test_vessels_are_darker_than_what_surrounds_them():
    phantom = make_phantom(3, size=256)
    green = phantom.pixels[..., 1].astype(float)
    yes = phantom.vessels > 0.9
    no = (phantom.vessels == 0) & phantom.fov
    assert green[yes].mean() < 0.9 * green[no].mean()


def test_lesions_come_in_some_and_not_in_others():
    totals = [
        sum(int(m.sum()) for m in make_phantom(s, size=96).lesions.values()) for s in range(20)
    ]
    assert any(t == 0 for t in totals)
    assert any(t > 0 for t in totals)


@pytest.mark.parametrize("size", [0, 63, 5000])
def test_a_size_out_of_range_is_refused(size):
    with pytest.raises(ValueError, match="64 to 4096"):
        make_phantom(0, size=size)
