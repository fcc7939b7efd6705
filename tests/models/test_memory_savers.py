"""Ways of saving memory traffic: the same numbers as the plain way, with and without gradients."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.affine import Window, cut_resized
from magenet_batch.models.blocks import added, conv_shuffled, conv_to_planes, scaled, silu, tanh
from magenet_batch.models.config import magenet_config
from magenet_batch.models.stages import LocalStage


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_shuffled_convolution_is_a_convolution_and_a_shuffle(kernel, layout):
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 12, kernel, padding=kernel // 2)
    x = torch.rand(2, 5, 6, 10).contiguous(memory_format=layout)
    expected = F.pixel_shuffle(conv(x), 2)
    unbiased = F.pixel_shuffle(F.conv2d(x, conv.weight, padding=kernel // 2), 2)
    for shuffled in (conv_shuffled, conv_to_planes):
        assert torch.allclose(shuffled(x, conv.weight, conv.bias), expected, atol=1e-6)
        assert torch.allclose(shuffled(x, conv.weight, None), unbiased, atol=1e-6)
    assert conv_to_planes(x, conv.weight, None).is_contiguous()


@pytest.mark.parametrize("shuffled", [conv_shuffled, conv_to_planes])
def test_a_shuffled_convolution_passes_gradients_to_its_weights(shuffled):
    conv = nn.Conv2d(4, 8, 3, padding=1)
    x = torch.rand(1, 4, 4, 4)
    (expected,) = torch.autograd.grad(F.pixel_shuffle(conv(x), 2).square().sum(), conv.weight)
    found = shuffled(x, conv.weight, conv.bias).square().sum()
    assert torch.allclose(torch.autograd.grad(found, conv.weight)[0], expected, atol=1e-5)


def test_the_hyperbolic_tangent_is_the_same_without_gradients():
    x = torch.linspace(-30, 30, 1001)
    with torch.inference_mode():
        assert torch.allclose(tanh(x), torch.tanh(x), atol=3e-7)


def test_only_without_gradients_inputs_are_overwritten():
    for work in (lambda x: added(x, x * 0 + 1), lambda x: scaled(x, torch.tensor(3.0)), silu):
        x = torch.rand(4, requires_grad=True) + 0  # no leaf
        before = x.detach().clone()
        with_gradient = work(x)
        assert torch.equal(x, before)
        with torch.no_grad():
            y = before.clone()
            without = work(y)
        assert without.data_ptr() == y.data_ptr()
        assert torch.equal(without, with_gradient)


def local_stage() -> LocalStage:
    torch.manual_seed(1)
    stage = LocalStage(
        (8, 12, 16), condition_channels=5, described_by=16, attention=True, gate=True, bands=2
    )
    for parameter in stage.parameters():
        nn.init.normal_(parameter, 0, 0.2)
    return stage


def shown() -> tuple[torch.Tensor, ...]:
    torch.manual_seed(2)
    return (
        torch.rand(2, 3, 32, 48),
        torch.rand(2, 3, 32, 48),
        torch.rand(2, 5, 16, 24),
        torch.rand(2, 16),
    )


def test_the_stem_is_a_convolution_of_two_by_two_pixels_and_the_condition():
    stage = local_stage()
    pixels, base, condition, _ = shown()
    both = torch.cat([pixels, base], 1)
    plain = stage.stem(torch.cat([F.pixel_unshuffle(both, 2), condition], 1))
    assert torch.allclose(stage._stem(both, condition), plain, atol=1e-5)


@torch.no_grad()
def test_the_last_stage_leaves_what_it_is_shown():
    stage = local_stage()
    given = shown()
    kept = [x.clone() for x in given]
    without = stage(*given)
    assert all(torch.equal(x, y) for x, y in zip(given, kept, strict=True))
    with torch.enable_grad():
        assert torch.allclose(stage(*given), without, atol=1e-5)


@pytest.mark.parametrize("window", [Window(0, 600, 0, 700), Window(64, 200, 300, 1000)])
def test_windows_are_cut_of_the_image_that_is_resized_whole(window):
    small = torch.rand(2, 3, 20, 30)
    whole = F.interpolate(small, size=(600, 1000), mode="bilinear", align_corners=False)
    cut = cut_resized(small, window, height=600, width=1000)
    expected = whole[..., window.top : window.bottom, window.left : window.right]
    assert torch.allclose(cut, expected, atol=1e-5)


def test_the_whole_network_gives_the_same_with_and_without_gradients():
    from magenet_batch.models.magenet import MageNet

    torch.manual_seed(3)
    network = MageNet(magenet_config("tiny"))
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, 0, 0.05)
    x = torch.rand(2, 3, 96, 96)
    kept = x.clone()
    with torch.inference_mode():
        without = network(x).images
    assert torch.equal(x, kept)
    for one, other in zip(network(x).images, without, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
