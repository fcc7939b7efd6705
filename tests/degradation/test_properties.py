"""What holds for every preset, picture and crop."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from magenet_batch.degradation import (
    PRESETS,
    DegradationParams,
    Spot,
    preset,
    sample_degradation,
)
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.degradation.kinds.blur import SHAPES
from magenet_batch.degradation.kinds.jpeg import CODERS
from magenet_batch.degradation.severity import severity


def drawn(name: str, count: int) -> list[DegradationParams]:
    rng = np.random.default_rng(8)
    return [sample_degradation(rng, PRESETS[name]) for _ in range(count)]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from(sorted(PRESETS)),
    st.integers(1, 70), st.integers(1, 70),
)  # fmt: skip
def test_any_picture_stays_in_range_and_untouched_outside(seed: int, name: str, h: int, w: int):
    rng = np.random.default_rng(seed)
    image = torch.from_numpy(rng.uniform(0, 1, (1, 3, h, w)).astype(np.float32))
    mask = torch.from_numpy((rng.uniform(0, 1, (1, 1, h, w)) < 0.7).astype(np.float32))
    params = sample_degradation(rng, PRESETS[name])
    got = apply_degradation(image, [params], mask_B1HW=mask)
    assert got.shape == image.shape
    assert bool(torch.isfinite(got).all())
    assert 0 <= float(got.min()) <= float(got.max()) <= 1
    outside = (mask == 0).expand_as(image)
    assert torch.equal(got[outside], image[outside])
    again = DegradationParams.from_record(params.to_record())
    assert torch.equal(apply_degradation(image, [again], mask_B1HW=mask), got)
    assert 0 <= severity(params) <= 1
    if not params.kinds():
        assert torch.equal(got, image)


def test_the_sensor_saturates_before_its_noise():
    image, mask = torch.full((1, 3, 64, 64), 0.9), torch.ones(1, 1, 64, 64)
    params = DegradationParams(brightness=1.5, noise_read=0.4, noise_seed=2)
    got = apply_degradation(image, [params], mask_B1HW=mask)
    # From 1, not from 1.35: half of the pixels fall below.
    assert float((got < 1).float().mean()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("shape", SHAPES)
def test_blur_of_every_shape_counts_by_its_deviation(shape: str):
    sigma = 0.004 / 2**0.5 if shape == "motion" else 0.004  # the mean of two directions
    got = severity(DegradationParams(blur_sigma=0.004, blur_shape=shape))
    assert got == pytest.approx(1 - np.exp(-sigma / 0.005))


def test_choices_without_strength_change_nothing():
    image = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(1))
    idle = DegradationParams(
        blur_shape="disc", blur_angle=1.0, noise_length=2.0, noise_shared=0.5, noise_seed=4,
        jpeg_coder="libjpeg-420", haze_spread=0.3, halo_x=0.1, hole_radius=0.2,
    )  # fmt: skip
    assert idle.kinds() == ()
    got = apply_degradation(image, [idle], mask_B1HW=torch.ones(1, 1, 20, 30))
    assert torch.equal(got, image)


def test_a_record_from_before_the_new_fields_replays():
    old = '{"blur_sigma":0.004,"noise_read":0.01,"noise_seed":5,"jpeg_quality":60,"spots":[]}'
    params = DegradationParams.from_record(old)
    assert params == DegradationParams(
        blur_sigma=0.004, noise_read=0.01, noise_seed=5, jpeg_quality=60
    )
    assert (params.blur_shape, params.noise_length, params.jpeg_coder) == ("gaussian", 0, "dct")


@pytest.mark.parametrize("name", [n for n, how in PRESETS.items() if how.ways == "plain"])
def test_plain_presets_draw_nothing_of_the_camera(name: str):
    for p in drawn(name, 60):
        assert (p.blur_shape, p.blur_angle, p.jpeg_coder) == ("gaussian", 0.0, "dct")
        assert (p.noise_length, p.noise_shared) == (0.0, 0.0)


def test_camera_presets_draw_every_shape_and_coder():
    params = drawn("camera_evaluation", 300)
    assert {p.blur_shape for p in params if "blur" in p.kinds()} == set(SHAPES)
    assert {p.jpeg_coder for p in params if "jpeg" in p.kinds()} == set(CODERS) - {"dct"}
    noisy = [p for p in params if "noise" in p.kinds()]
    assert {p.noise_length > 0 for p in noisy} == {True, False}
    assert max(p.noise_shared for p in noisy) > 0.4
    assert {kind for p in params for kind in p.kinds()} == set(preset("evaluation").probability)


def test_the_sensor_preset_is_wide_and_has_no_light():
    params = drawn("sensor", 2000)
    assert {kind for p in params for kind in p.kinds()} == {"blur", "noise", "jpeg"}
    untouched = np.mean([not p.kinds() for p in params])
    assert untouched == pytest.approx(0.12 + 0.88 * 0.3 * 0.3 * 0.5, abs=0.03)
    sigmas = [p.blur_sigma for p in params if p.blur_sigma]
    assert min(sigmas) < 0.001
    assert max(sigmas) > 0.012


@pytest.mark.parametrize("kind", ["haze", "halo", "hole", "spots", "gradient", "colour"])
def test_a_crop_refuses_what_needs_the_whole_picture(kind: str):
    params = sample_degradation(np.random.default_rng(0), preset(f"evaluation:{kind}"))
    image, mask = torch.zeros(1, 3, 16, 16), torch.ones(1, 1, 16, 16)
    with pytest.raises(ValueError, match=f"'{kind}'.*crops support blur, yellow, noise, jpeg"):
        apply_degradation(image, [params], mask_B1HW=mask, height=64)


def test_what_cannot_be_applied_is_refused():
    image, mask = torch.zeros(2, 3, 16, 16), torch.ones(2, 1, 16, 16)
    with pytest.raises(ValueError, match="2 images, but 1 sets of parameters"):
        apply_degradation(image, [DegradationParams()], mask_B1HW=mask)
    with pytest.raises(ValueError, match="height is 0"):
        apply_degradation(image, [DegradationParams()] * 2, mask_B1HW=mask, height=0)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("[]", "must be an object"),
        ("{", "Expecting"),
        ('{"spots": [{"x": 1}]}', "bad entry 'spots'"),
        ('{"spots": 3}', "bad entry 'spots'"),
        ('{"blur_sigma": null}', "blur_sigma"),
        ('{"haze_rgb": [0.5, 0.5]}', "haze_rgb .* must be 3 numbers of 0 .. 1"),
        ('{"haze_rgb": 0.5}', "haze_rgb"),
        ('{"haze_strength": NaN}', "haze_strength"),
    ],
)
def test_a_damaged_record_is_refused(record: str, message: str):
    with pytest.raises(ValueError, match=message):
        DegradationParams.from_record(record)


def test_a_spot_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="radius above 0"):
        Spot(0.5, 0.5, 0.0, 0.1)


def test_a_record_keeps_all_of_a_degradation():
    for p in drawn("camera_evaluation", 20):
        assert DegradationParams.from_record(p.to_record()) == p
        assert {"blur_shape", "noise_length", "jpeg_coder"} <= json.loads(p.to_record()).keys()
