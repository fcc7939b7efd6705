"""The scatter stage: what vessels lack of their contrast is given back, and nothing else."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from magenet_batch.degradation import DegradationParams
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.imaging.fov import find_fov
from magenet_batch.models.restoration.config import ScatterConfig
from magenet_batch.models.restoration.fields import Planes
from magenet_batch.models.restoration.scatter import (
    GRID,
    SIZE,
    ScatterStage,
    unscattered,
    vessel_contrast,
)
from magenet_batch.phantom import make_phantom

SHARP = torch.zeros(1), torch.zeros(1), torch.zeros(1)
"""Neither blur nor noise nor compression."""


def squares(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A phantom, its true vessels and its field of view, (1, C, SIZE, SIZE)."""
    phantom = make_phantom(seed, size=SIZE)
    fov = find_fov(phantom.pixels)
    assert fov is not None
    mask = torch.from_numpy(fov.mask(SIZE, SIZE)).float()[None, None]
    x = torch.from_numpy(phantom.pixels).permute(2, 0, 1)[None].float() / 255
    vessels = torch.from_numpy(np.asarray(phantom.vessels) > 0).float()[None, None]
    return x * mask, vessels * mask, mask


def stage_for(expected: float, **config: object) -> ScatterStage:
    stage = ScatterStage(ScatterConfig(**{"below": 0.0, "most": 0.8, **config}))
    stage.expected.fill_(np.log(expected))
    stage.spread.fill_(0.2)
    return stage


def undone(x: torch.Tensor, mask: torch.Tensor, share: torch.Tensor) -> Planes:
    return unscattered(Planes.neutral_for(x).resized(GRID), x, mask, share)


def scattered(x: torch.Tensor, mask: torch.Tensor, share: float, width: float = 0.12):
    params = DegradationParams(scatter_share=share, scatter_width=width)
    return apply_degradation(x, [params], mask_B1HW=mask) * mask


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6])
def test_a_known_share_is_found_and_undone(share: float):
    x, vessels, mask = squares(4)
    clean, _ = vessel_contrast(x, vessels, mask)
    hazy = scattered(x, mask, share)
    found = stage_for(float(clean))(*vessel_contrast(hazy, vessels, mask), *SHARP)
    assert float(found) == pytest.approx(share, abs=0.05)
    restored = undone(hazy, mask, found).resized(SIZE).apply(hazy)
    again, _ = vessel_contrast(restored * mask, vessels, mask)
    assert float(again) == pytest.approx(float(clean), rel=0.05)
    inner = -F.max_pool2d(-mask, 13, 1, 6) > 0

    def error(y: torch.Tensor) -> float:
        return float(((y - x) * inner).square().mean())

    assert error(restored) < 0.35 * error(hazy)


def test_an_image_that_lacks_nothing_stays_bit_for_bit():
    x, vessels, mask = squares(4)
    contrast, seen = vessel_contrast(x, vessels, mask)
    share = stage_for(float(contrast) * 0.99)(contrast, seen, *SHARP)
    assert float(share) == 0
    assert bool(undone(x, mask, share).neutral)


def test_a_new_stage_changes_nothing():
    stage = ScatterStage(ScatterConfig())
    assert torch.equal(stage(torch.tensor([1e-3, 0.5]), torch.ones(2), *SHARP), torch.zeros(2))


def test_detail_grows_by_one_factor_and_the_light_around_it_stays():
    mask = torch.ones(1, 1, SIZE, SIZE)
    at = torch.arange(SIZE) * (2 * torch.pi / 8)
    wave = 0.02 * torch.sin(at).expand(1, 3, SIZE, SIZE)
    level = torch.tensor([0.6, 0.3, 0.15]).view(1, 3, 1, 1)
    x = level + wave
    y = undone(x, mask, torch.tensor([0.4])).resized(SIZE).apply(x)
    inside = np.s_[..., 60:-60, 60:-60]
    assert torch.allclose((y - level)[inside], wave[inside] / 0.6, atol=5e-4)


def test_vessels_that_are_not_seen_ask_for_nothing():
    x, vessels, mask = squares(4)
    hazy = scattered(x, mask, 0.6)
    stage = stage_for(0.5)
    contrast, seen = vessel_contrast(hazy, 0.25 * vessels, mask)
    assert 0 < float(seen) < 0.3
    assert float(stage(contrast, seen, *SHARP)) == 0
    black = torch.zeros_like(x)
    contrast, seen = vessel_contrast(black, vessels, mask)
    assert float(stage(contrast, seen, *SHARP)) == float(contrast) == float(seen) == 0


def test_what_blur_noise_and_compression_took_is_not_given_back():
    stage = stage_for(0.1)
    contrast, seen = torch.tensor([0.06]), torch.ones(1)
    whole = float(stage(contrast, seen, *SHARP))
    assert whole == pytest.approx(0.4, abs=1e-5)
    for place, half, whole_of_it in ((0, 0.0045, 0.006), (1, 0.009, 0.012), (2, 0.35, 0.5)):
        faults = list(SHARP)
        faults[place] = torch.tensor([half])
        assert 1 - float(stage(contrast, seen, *faults)) == pytest.approx(0.6**0.5, abs=1e-4)
        assert stage.acts(*map(float, faults))
        faults[place] = torch.tensor([whole_of_it])
        assert float(stage(contrast, seen, *faults)) == 0
        assert not stage.acts(*map(float, faults))


def test_images_of_a_batch_do_not_touch_each_other():
    both = [squares(4), squares(9)]
    x, vessels, mask = (torch.cat(column) for column in zip(*both, strict=True))
    together = vessel_contrast(x, vessels, mask)
    apart = [vessel_contrast(*one) for one in both]
    for number in range(2):
        expected = torch.cat([one[number] for one in apart])
        assert torch.allclose(together[number], expected, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0, 2), st.floats(0, 1), st.floats(-6, 0), st.floats(0, 1),
    st.floats(0, 3), st.floats(0, 0.9),
)  # fmt: skip
def test_shares_are_bounded_and_less_contrast_means_more_scatter(
    contrast: float, seen: float, expected: float, spread: float, below: float, most: float
):
    stage = ScatterStage(ScatterConfig(below=below, most=most))
    stage.expected.fill_(expected)
    stage.spread.fill_(spread)
    two = torch.tensor([contrast, contrast / 2])
    share = stage(two, torch.tensor([seen, seen]), *SHARP)
    assert bool((share >= 0).all() & (share <= most + 1e-6).all())
    assert float(share[1]) >= float(share[0])
    assert float(stage(two, torch.tensor([seen, 1.0]), *SHARP)[1]) >= float(share[1])
