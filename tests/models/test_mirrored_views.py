"""Mirrored views: mirrored images get mirrored light, and good images cost one view."""

import pytest
import torch

from magenet_batch.models.restoration import light
from magenet_batch.models.restoration.config import LightConfig
from magenet_batch.models.restoration.fields import Fields
from magenet_batch.models.restoration.light import LightStage

SIZE = 64


def stage(views: int, *, believe: float = 6.0) -> LightStage:
    """A small stage with random weights, which believes as surely as it is told."""
    torch.manual_seed(3)
    made = LightStage(LightConfig(size=SIZE, grid=8, widths=(8, 12, 16, 24), views=views))
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


def calls(made: LightStage) -> list[int]:
    """Sizes of the batches that the stage sees from now on."""
    seen: list[int] = []
    made.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    return seen


def near(one: Fields, other: Fields) -> bool:
    return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("views", "axes"), [(2, (-1,)), (4, (-1,)), (4, (-2,)), (4, (-2, -1))])
@torch.inference_mode()
def test_a_mirrored_image_gets_mirrored_light(views: int, axes: tuple[int, ...]):
    made, (x, mask) = stage(views), pictures()
    mirrored = made.looked(x.flip(axes), mask, None)
    assert near(mirrored, made.looked(x, mask, None).mirrored(axes))
    one_view = stage(1)
    assert not near(one_view(x.flip(axes), mask), one_view(x, mask).mirrored(axes))


@torch.inference_mode()
def test_the_fields_are_the_means_of_the_views():
    made, (x, mask) = stage(2), pictures()
    mean = made.looked(x, mask, None)
    views = made(x, mask), made(x.flip(-1), mask).mirrored((-1,))
    assert near(mean, Fields(*((a + b) / 2 for a, b in zip(*views, strict=True))))


@torch.inference_mode()
def test_what_the_first_view_leaves_alone_costs_one_view():
    made, (x, mask) = stage(4, believe=-6.0), pictures(3)
    seen = calls(made)
    fields = made.looked(x, mask, None)
    assert seen == [3]
    assert not fields.degraded.any()
    assert not fields.toned.any()


@torch.inference_mode()
def test_an_image_is_seen_as_it_is_alone(monkeypatch):
    made, (x, mask) = stage(4), pictures(3)
    dark = x.clone()
    dark[1] = 0
    real = made.forward

    def forward(x_B3HW, mask_B1HW, statistics_BN=None):  # leaves black images alone
        fields = real(x_B3HW, mask_B1HW, statistics_BN)
        lit = (x_B3HW.amax((1, 2, 3)) > 0).float()
        return fields._replace(degraded=fields.degraded * lit, toned=fields.toned * lit)

    monkeypatch.setattr(made, "forward", forward)
    seen = calls(made)
    together = made.looked(dark, mask, None)
    assert seen == [3, 6], "three other views of the two images that are lit"
    monkeypatch.setattr(light, "_worth_asking", lambda faulty: torch.arange(len(faulty)))
    assert near(together, made.looked(dark, mask, None)), "as on a GPU, which is not asked"
    assert seen == [3, 6, 3, 9]
    monkeypatch.undo()
    monkeypatch.setattr(made, "forward", forward)
    for index in range(3):
        one = slice(index, index + 1)
        assert near(together.of(index), made.looked(dark[one], mask[one], None))


@torch.inference_mode()
def test_statistics_are_told_to_every_view():
    torch.manual_seed(0)
    config = LightConfig(size=SIZE, grid=8, widths=(8, 12, 16, 24), views=4, statistics=True)
    made = LightStage(config).eval()
    x, mask = pictures(2)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0, 0.1)
        made.tone[-1].bias[3] = 6
        made.believe[-1].bias.fill_(6)
    told = torch.randn(2, made.tell_tone[0].in_features)
    both = made.looked(x, mask, told)
    assert near(both.of(1), made.looked(x[1:], mask[1:], told[1:]))
    assert not near(both, made.looked(x, mask, None))


@torch.inference_mode()
def test_no_view_waits_for_a_gpu():
    """Those of the device `meta` cannot be asked for their values."""
    made, (x, mask) = stage(4).to("meta"), pictures(2)
    fields = made.looked(x.to("meta"), mask.to("meta"), None)
    assert fields.light.shape == (2, 3, 8, 8)
