"""Each corruption against the formula it implements, and the promises that hold for all of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from magenet_batch.degradation import (
    KINDS,
    PRESETS,
    DegradationParams,
    Spot,
    preset,
    sample_degradation,
)
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.errors import UsageError
from magenet_batch.phantom import make_phantom


def clean(size: int = 128, *, seed: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    phantom = make_phantom(seed, size=size)
    image = torch.from_numpy(phantom.pixels).permute(2, 0, 1)[None].float() / 255
    return image, torch.ones(1, 1, size, size)


def degrade(image: torch.Tensor, mask: torch.Tensor, **params: object) -> torch.Tensor:
    return apply_degradation(image, [DegradationParams(**params)], mask_B1HW=mask)  # type: ignore[arg-type]


def test_defaults_change_nothing():
    image, mask = clean()
    assert torch.equal(degrade(image, mask), image)
    assert DegradationParams().kinds() == ()


def test_colour_follows_its_formula():
    image, mask = clean()
    image = image * 0.5 + 0.1
    got = degrade(image, mask, brightness=0.8, contrast=0.7, saturation=1.2)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    x = image * 0.8
    mean = (x * weights).sum(1, keepdim=True).mean((-2, -1), keepdim=True)
    x = mean + (x - mean) * 0.7
    grey = (x * weights).sum(1, keepdim=True)
    assert torch.allclose(got, (grey + (x - grey) * 1.2).clamp(0, 1), atol=1e-6)


def test_haze_is_koschmieders_law_where_the_veil_is_even():
    image, mask = clean()
    got = degrade(image, mask, haze_strength=0.4, haze_rgb=(0.7, 0.6, 0.5), haze_spread=1e4)
    veil = torch.tensor([0.7, 0.6, 0.5]).view(1, 3, 1, 1)
    assert torch.allclose(got, image * 0.6 + veil * 0.4, atol=1e-5)


def test_yellow_absorbs_blue_most():
    image, mask = clean()
    got = degrade(image, mask, yellow=1.0)
    inside = image[0].min(0).values > 0.05
    ratios = [(got[0, c][inside] / image[0, c][inside]).mean() for c in range(3)]
    assert ratios[0] == pytest.approx(np.exp(-0.02), abs=1e-3)
    assert ratios[2] == pytest.approx(np.exp(-0.9), abs=1e-3)


def test_blur_is_a_gaussian_of_the_stated_sigma():
    point = torch.zeros(1, 3, 129, 129)
    point[..., 64, 64] = 1
    got = degrade(point, torch.ones(1, 1, 129, 129), blur_sigma=4 / 129)
    at = torch.arange(129) - 64.0
    spread = (got[0, 0].sum(0) * at.square()).sum() / got[0, 0].sum()
    assert float(spread) == pytest.approx(16, rel=0.01)
    assert float(got[0, 0].sum()) == pytest.approx(1, abs=1e-4)


def test_spots_are_gaussians_with_their_amplitude_bright_or_dark():
    grey = torch.full((1, 3, 200, 200), 0.5)
    mask = torch.ones(1, 1, 200, 200)
    got = degrade(
        grey, mask, spots=(Spot(0.2525, 0.2525, 0.05, 0.3), Spot(0.7525, 0.7525, 0.05, -0.2))
    )
    assert float(got[0, 0, 50, 50]) == pytest.approx(0.8, abs=1e-3)
    assert float(got[0, 0, 150, 150]) == pytest.approx(0.3, abs=1e-3)
    one_sigma = 0.05 / 2 * 200
    assert float(got[0, 0, 50, 50 + int(one_sigma)]) == pytest.approx(0.5 + 0.3 * 0.6065, abs=5e-3)


def test_halo_adds_its_colour_at_its_radius():
    black = torch.zeros(1, 3, 256, 256)
    got = degrade(
        black, torch.ones(1, 1, 256, 256),
        halo_radius=0.3, halo_width=0.05, halo_strength=0.5, halo_rgb=(1.0, 0.5, 0.2),
    )  # fmt: skip
    crest = got[0, :, 128, 128 + round(0.3 * 256)]
    assert crest.tolist() == pytest.approx([0.5, 0.25, 0.1], abs=0.02)
    assert float(got[0, 0, 128, 128]) < 0.01


def test_hole_darkens_in_proportion_and_only_inside():
    grey = torch.full((1, 3, 256, 256), 0.5)
    got = degrade(
        grey, torch.ones(1, 1, 256, 256), hole_radius=0.2, hole_strength=-0.2, hole_softness=0.3
    )
    assert float(got[0, 0, 128, 128]) == pytest.approx(0.5 * (1 - 0.4), abs=0.01)
    assert float(got[0, 0, 5, 5]) == pytest.approx(0.5, abs=1e-3)


def test_gradient_darkens_one_side():
    grey = torch.full((1, 3, 64, 64), 0.5)
    got = degrade(grey, torch.ones(1, 1, 64, 64), gradient_angle=0.0, gradient_strength=0.6)
    assert float(got[0, 0, 32, 0]) > 0.45
    assert float(got[0, 0, 32, 63]) < 0.25


@pytest.mark.parametrize("size", [128, 256])
def test_noise_has_the_stated_deviation_at_512_pixels(size: int):
    grey = torch.full((1, 3, size, size), 0.5)
    got = degrade(
        grey, torch.ones(1, 1, size, size), noise_read=0.02, noise_shot=0.0004, noise_seed=7
    )
    expected = np.sqrt(0.02**2 + 0.0004 * 0.5) * size / 512
    assert float((got - grey).std()) == pytest.approx(expected, rel=0.05)


def test_jpeg_is_close_to_a_real_encoder():
    import cv2

    image, mask = clean(256)
    got = degrade(image, mask, jpeg_quality=40)[0].permute(1, 2, 0).numpy() * 255
    pixels = np.rint(image[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    parameters = [cv2.IMWRITE_JPEG_QUALITY, 40, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], parameters)
    real = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32)
    # Encoders round to integers between their steps; that alone is about half a level.
    assert np.abs(got - real).mean() < 0.75
    assert np.abs(got - pixels).mean() > 3 * np.abs(got - real).mean()


def test_outside_the_field_of_view_nothing_changes():
    image, mask = clean()
    mask[..., :40] = 0
    params = sample_degradation(np.random.default_rng(1), PRESETS["evaluation"])
    got = apply_degradation(image, [params], mask_B1HW=mask)
    assert torch.equal(got[..., :40], image[..., :40])
    assert not torch.equal(got[..., 40:], image[..., 40:])


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("jpeg", "noise")])
def test_degrading_and_resizing_commute(kind: str):
    """JPEG has blocks of eight pixels and noise is per pixel: those two are exempt by nature."""
    large, mask = clean(384)
    large = large * 0.6 + 0.15  # clipping at black or white does not commute with averaging
    params = sample_degradation(np.random.default_rng(5), preset(f"evaluation:{kind}"))
    first = F.avg_pool2d(apply_degradation(large, [params], mask_B1HW=mask), 2)
    small = F.avg_pool2d(large, 2)
    then = apply_degradation(small, [params], mask_B1HW=F.avg_pool2d(mask, 2))
    assert float((first - then).abs().mean()) < 0.004
    assert float((first - then).abs().quantile(0.999)) < 0.03


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(PRESETS)))
def test_every_sample_replays_from_its_record_and_stays_in_range(seed: int, name: str):
    params = sample_degradation(np.random.default_rng(seed), PRESETS[name])
    again = DegradationParams.from_record(params.to_record())
    assert again == params
    image, mask = clean(64)
    one = apply_degradation(image, [params], mask_B1HW=mask)
    two = apply_degradation(image, [again], mask_B1HW=mask)
    assert torch.equal(one, two)
    assert float(one.min()) >= 0
    assert float(one.max()) <= 1


def test_a_batch_is_the_same_as_its_images_one_by_one():
    image, mask = clean(96)
    rng = np.random.default_rng(2)
    params = [sample_degradation(rng, PRESETS["evaluation"]) for _ in range(5)]
    batch = apply_degradation(image.repeat(5, 1, 1, 1), params, mask_B1HW=mask.repeat(5, 1, 1, 1))
    for i, p in enumerate(params):
        assert torch.allclose(
            batch[i : i + 1], apply_degradation(image, [p], mask_B1HW=mask), atol=1e-5
        )


def test_two_samples_have_independent_noise():
    grey = torch.full((2, 3, 64, 64), 0.5)
    params = [DegradationParams(noise_read=0.05, noise_seed=s) for s in (11, 987654)]
    noise = apply_degradation(grey, params, mask_B1HW=torch.ones(2, 1, 64, 64)) - grey
    correlation = torch.corrcoef(noise.flatten(1))[0, 1]
    assert abs(float(correlation)) < 0.05


def test_only_draws_one_kind_and_names_the_nearest_spelling():
    rng = np.random.default_rng(0)
    for kind in KINDS:
        assert sample_degradation(rng, preset(f"evaluation:{kind}")).kinds() == (kind,)
    with pytest.raises(UsageError, match="did you mean 'blur'"):
        preset("evaluation:blurr")
    with pytest.raises(UsageError, match="did you mean 'mild'"):
        preset("milt")


def test_a_record_with_an_unknown_entry_is_refused():
    with pytest.raises(ValueError, match="'sharpness'"):
        DegradationParams.from_record('{"sharpness": 3}')
    assert replace(DegradationParams(), blur_sigma=0.1).kinds() == ("blur",)
