"""Mirrored views: mirrored images get mirrored light, and the tone is told once."""

import pytest
import torch
from torch import nn

from magenet_batch.models.restoration.config import LightConfig, RestorationConfig
from magenet_batch.models.restoration.exposure import exposed
from magenet_batch.models.restoration.fields import Fields, planes
from magenet_batch.models.restoration.light import LightStage, least_squares_gains
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.restoration.statistics import STATISTICS as BAND_STATISTICS
from magenet_batch.models.statistics import STATISTICS

SIZE = 64


def stage(*, believe: float = 6.0) -> LightStage:
    """A small stage with random weights, which believes as surely as it is told."""
    torch.manual_seed(3)
    made = LightStage(LightConfig(size=SIZE, grid=8, widths=(8, 12, 16, 24)))
    with torch.no_grad():
        for parameter in made.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.2)
        made.believe[-1].weight.zero_()
        made.tone[-1].weight[3].zero_()
        made.believe[-1].bias.fill_(believe)
        made.tone[-1].bias[3] = believe
    return made.eval()


def pictures(count: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    return 0.2 + 0.6 * x, torch.ones(count, 1, SIZE, SIZE)


def calls(module: nn.Module) -> list[int]:
    """Sizes of the batches that a module sees from now on."""
    seen: list[int] = []
    module.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    return seen


def near(one: Fields, other: Fields) -> bool:
    return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("views", "axes"), [(2, (-1,)), (4, (-1,)), (4, (-2,)), (4, (-2, -1))])
@torch.inference_mode()
def test_a_mirrored_image_gets_mirrored_light(views: int, axes: tuple[int, ...]):
    made, (x, mask) = stage(), pictures()
    mirrored = made(x.flip(axes), mask, views=views)
    assert near(mirrored, made(x, mask, views=views).mirrored(axes))
    assert not near(made(x.flip(axes), mask), made(x, mask).mirrored(axes)), "of one view it is not"


@torch.inference_mode()
def test_light_and_veil_are_the_means_of_the_views():
    made, (x, mask) = stage(), pictures()
    mean, colours = made.untoned(x, mask, views=2)
    (one, before), (other, after) = (made.untoned(t, mask) for t in (x, x.flip(-1)))
    for name in ("light", "veil", "colour", "faded"):
        wanted = (getattr(one, name) + getattr(other.mirrored((-1,)), name)) / 2
        assert torch.allclose(getattr(mean, name), wanted, atol=1e-5), name
    described = made.config.widths[-1] + STATISTICS
    wanted = (before + after)[:, :described] / 2
    assert torch.allclose(colours[:, :described], wanted, atol=1e-4)


@torch.inference_mode()
def test_the_tone_is_told_once_from_the_mean_light():
    made, (x, mask) = stage(), pictures()
    told = calls(made.tone[0])
    fields = made(x, mask, views=4)
    assert told == [1]
    even = planes(fields.without_tone().believed()).resized(SIZE).apply(x)
    gains = least_squares_gains(even, x)
    assert torch.allclose(torch.exp(fields.own), gains, atol=1e-4)


@pytest.mark.parametrize("view", range(4))
@torch.inference_mode()
def test_the_view_that_believes_least_counts(view: int, monkeypatch):
    made, (x, mask) = stage(), pictures(3)
    assert bool((made(x, mask, views=4).degraded > 0.9).all())
    real = made._seen

    def seen(x_B3HW, *others):
        fields, described = real(x_B3HW, *others)
        fields.degraded[:] = 0.5
        fields.degraded[3 * view + 1] = 0  # the second of three images
        fields.degraded[3 * view + 2] = 0.2
        return fields, described

    monkeypatch.setattr(made, "_seen", seen)
    assert made(x, mask, views=4).degraded.tolist() == pytest.approx([0.5, 0, 0.2])


@torch.inference_mode()
def test_an_image_is_seen_as_it_is_alone():
    made, (x, mask) = stage(), pictures(3)
    x[1] *= 0.1
    together = made(x, mask, views=4)
    for index in range(3):
        one = slice(index, index + 1)
        assert near(together.of(index), made(x[one], mask[one], views=4))


@torch.inference_mode()
def test_a_network_looks_as_often_as_its_configuration_says():
    made, (x, mask) = stage(), pictures()
    light = made.config.model_copy(update={"views": 2})
    network = Restorer(RestorationConfig(structure=None, sensor=None, light=light))
    assert network.light is not None
    network.light.load_state_dict(made.state_dict())
    sensed = network.sensed(x, mask)
    given = x * 0.5 + 0.2  # not darkened, which would be exposed again
    found = network.light_of(given, mask, sensed)
    assert near(found, exposed(made(given, mask, views=2), given, mask))


@torch.inference_mode()
def test_statistics_are_told_once():
    torch.manual_seed(0)
    config = LightConfig(size=SIZE, grid=8, widths=(8, 12, 16, 24), cameras=1)
    made = LightStage(config).eval()
    x, mask = pictures(2)
    made.known.frames.fill_(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0, 0.1)
        made.known.last.bias[3] = 6
        made.believe[-1].bias.fill_(6)
    told = torch.randn(2, BAND_STATISTICS)
    calls_of_it = calls(made.known.first)
    both = made(x, mask, told, views=4)
    assert calls_of_it == [2]
    assert near(both.of(1), made(x[1:], mask[1:], told[1:], views=4))
    assert not near(both, made(x, mask, views=4))


@torch.inference_mode()
def test_no_view_waits_for_a_gpu():
    """Those of the device `meta` cannot be asked for their values."""
    made, (x, mask) = stage().to("meta"), pictures(2)
    fields, _ = made.untoned(x.to("meta"), mask.to("meta"), views=4)
    assert fields.light.shape == (2, 3, 8, 8)
