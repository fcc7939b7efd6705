"""The restoring network: a new one is the identity, contrast cannot fall, tiles agree."""

from contextlib import nullcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from magenet_batch.models.build import build_network, read_config
from magenet_batch.models.restoration.bands import BANDS, Bands, detail_bands
from magenet_batch.models.restoration.config import (
    RESTORATION_SIZES,
    LightConfig,
    RestorationConfig,
    SenseConfig,
    SensorConfig,
)
from magenet_batch.models.restoration.fields import Fields, Planes, planes
from magenet_batch.models.restoration.light import LightStage
from magenet_batch.models.restoration.network import Faults, Restorer, Squares
from magenet_batch.models.restoration.sense import Sense, Sensed, apply_matrices
from magenet_batch.models.restoration.sensor import SensorStage, ToldBlock
from magenet_batch.models.restoration.statistics import STATISTICS, band_statistics


def tiny(**changes: object) -> RestorationConfig:
    return RestorationConfig(size="tiny", **{**RESTORATION_SIZES["tiny"], **changes})


def stirred(module: nn.Module, strength: float = 0.05) -> nn.Module:
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.any():
                parameter.normal_(0, strength)
    return module.eval()


def picture(size: int = 96) -> torch.Tensor:
    return 0.2 + 0.6 * torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1))


NARROW = {"hidden": 4, "summary": 6}


@pytest.mark.parametrize("without", ["sensor", "structure", "width", None])
def test_a_new_sensor_stage_is_the_identity(without: str | None):
    changes = {without: None} if without in ("sensor", "structure") else {}
    if without == "width":
        changes["sensor"] = SensorConfig(widths=(8, 12, 16), **NARROW)
    if without == "structure":
        changes["sensor"] = SensorConfig(widths=(8, 12, 16), guided=False)
    network = Restorer(tiny(**changes)).eval()
    x = picture()
    sensed = network.sensed(x, torch.ones(1, 1, 96, 96))
    y = network.undo_sensor(x, sensed, network.vessels(x))
    assert torch.allclose(y, x, atol=1e-5)
    assert sensed.matrices.shape == (1, BANDS, 3, 3)


def estimated(blur: float, noise: float, jpeg: float) -> Sensed:
    one = torch.eye(3).expand(1, BANDS, 3, 3)
    told = (torch.tensor([value]) for value in (blur, noise, jpeg))
    return Sensed(one, torch.zeros(1, 1), *told, torch.zeros(1, 1))


@pytest.mark.parametrize(
    ("estimates", "belief"),
    [
        ((0, 0, 0), 0.0),
        ((0.2, 0.002, 0.2), 0.0),  # the grain of a good photograph
        ((0.3, 0, 0), 0.5),
        ((0, 0.0035, 0), 0.5),
        ((0, 0, 0.3), 0.5),
        ((4, 0, 0), 1.0),
        ((0, 0.02, 0), 1.0),
    ],
)
def test_the_worst_estimate_decides_whether_the_sensor_is_faulty(estimates, belief: float):
    assert float(estimated(*estimates).faulty) == pytest.approx(belief, abs=1e-6)


@pytest.mark.parametrize(
    ("estimates", "multiple"),
    [
        ((4, 0, 0), 1.5),
        ((4, 0.002, 0), 1.5),  # grain
        ((4, 0.0035, 0), 1.25),
        ((4, 0.02, 0), 1.0),
        ((0, 0.02, 0), 1.0),
        ((4, 0, 0.15), 1.5),
        ((4, 0, 0.3), 1.25),
        ((4, 0, 0.9), 1.0),
    ],
)
def test_changes_are_multiplied_where_there_is_only_blur(estimates, multiple: float):
    network = Restorer(tiny(sensor=SensorConfig(widths=(8, 12, 16), strength=1.5))).eval()
    stirred(network.sensor)
    x = picture()
    sensed = estimated(*estimates)._replace(condition=torch.zeros(1, network.sense.width))
    vessels = network.vessels(x)
    whole = network.sensor(x, sensed, vessels) - x
    assert float(whole.abs().max()) > 0.01
    found = network.undo_sensor(x, sensed, vessels) - x
    assert torch.allclose(found, multiple * whole, atol=1e-6)


def test_changes_are_strongest_where_vessels_are_unsure():
    config = SensorConfig(widths=(8, 12, 16), strength=1.2, unsure=1.8)
    network = Restorer(tiny(sensor=config)).eval()
    stirred(network.sensor)
    x = picture()
    sensed = estimated(4, 0, 0)._replace(condition=torch.zeros(1, network.sense.width))
    vessels = torch.linspace(0, 1, x.shape[-1]).expand_as(x[:, :1])
    whole = network.sensor(x, sensed, vessels) - x
    found = network.undo_sensor(x, sensed, vessels) - x
    weight = 4 * vessels * (1 - vessels)
    assert torch.allclose(found, (1.2 + 0.6 * weight) * whole, atol=1e-6)
    assert network.sensor.strengths(None) == 1.2
    quiet = estimated(4, 0.02, 0)._replace(condition=sensed.condition)
    assert torch.allclose(network.undo_sensor(x, quiet, vessels) - x, whole, atol=1e-6)


def test_a_photograph_without_faults_keeps_its_bits():
    network = Restorer(tiny()).eval()
    stirred(network.sensor)
    x = picture()
    network.sense.estimates.weight.data.zero_()
    for level, untouched in ((-20.0, True), (3.0, False)):
        network.sense.estimates.bias.data.fill_(level)
        sensed = network.sensed(x, torch.ones(1, 1, 96, 96))
        y = network.undo_sensor(x, sensed, network.vessels(x))
        assert (y is x) == untouched
        assert torch.allclose(y, x, atol=1e-3) == untouched


def test_neutral_fields_change_nothing():
    zero = torch.zeros(1, 3, 16, 16)
    colour = torch.full((1, 3, 1, 1), 0.5)
    none = torch.zeros(1, 3, 1, 1)
    fields = Fields(zero, zero[:, :1], colour, none[:, :1], none, none, none, *torch.ones(2, 1))
    x = picture(64)
    assert torch.equal(planes(fields).resized(64).apply(x), x)


@settings(deadline=None, max_examples=40)
@given(
    light=st.floats(-1.6, 1.6), veil=st.floats(0, 0.92), colour=st.floats(0.01, 0.99),
    tone=st.floats(-1, 1), level=st.floats(0.05, 0.95), contrast=st.floats(0.01, 0.5),
)  # fmt: skip
def test_relative_contrast_never_falls(
    light: float, veil: float, colour: float, tone: float, level: float, contrast: float
):
    def field(value: float, channels: int = 3, size: int = 8) -> torch.Tensor:
        return torch.full((1, channels, size, size), value, dtype=torch.float64)

    fields = Fields(
        field(light), field(veil, 1), field(colour, size=1), field(0, 1, 1), field(tone, size=1),
        field(0, size=1), field(0, size=1),
        *torch.ones(2, 1, dtype=torch.float64),
    )  # fmt: skip
    around = field(level)
    inside = around * (1 - contrast)
    plane = planes(fields)
    a, b = plane.apply(around)[0, 0, 0, 0], plane.apply(inside)[0, 0, 0, 0]
    if a <= 1e-9:  # everything there is taken for veil: nothing is left to have a contrast
        return
    assert float((a - b) / a) >= contrast - 1e-9


@settings(deadline=None, max_examples=40)
@given(
    faded=st.floats(0, 0.5), red=st.floats(0.3, 0.9), green=st.floats(0.05, 1),
    blue=st.floats(0, 1), contrast=st.floats(0.01, 0.5), share=st.floats(0, 1),
)  # fmt: skip
def test_colours_given_back_raise_the_contrast_of_green_and_keep_the_luma(
    faded: float, red: float, green: float, blue: float, contrast: float, share: float
):
    """In a retina red is brightest, and a vessel shows at least as well in green as elsewhere."""
    around = torch.tensor([red, green * red, blue * green * red], dtype=torch.float64)
    weaker = torch.tensor([share, 1, share], dtype=torch.float64)
    inside = around * (1 - contrast * weaker)
    one = torch.ones(1, 3, 1, 1, dtype=torch.float64)
    plane = Planes(one, 0 * one, torch.exp(faded * one[:, :1]))
    a, b = (plane.apply(t.view(1, 3, 1, 1)).flatten() for t in (around, inside))
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    assert float(a @ luma) == pytest.approx(float(around @ luma))
    if a[1] > 1e-9:
        assert float((a[1] - b[1]) / a[1]) >= contrast - 1e-9


def test_where_the_tone_is_not_believed_an_image_keeps_its_own():
    stage = stirred(LightStage(LightConfig(size=64, grid=16, widths=(8, 12, 16, 24))), 0.1)
    with torch.no_grad():
        stage.believe[2].bias[0] = 9.0
        stage.tone[4].bias[3] = -9.0
        fields = stage(picture(64), torch.ones(1, 1, 64, 64)).believed()
    x, y = picture(64), planes(fields).resized(64).apply(picture(64))
    assert float((y - x).abs().max()) > 0.01
    gain = (x * y).sum((2, 3)) / y.square().sum((2, 3))
    assert torch.allclose(gain, torch.ones(1, 3), atol=1e-3)


def test_faded_colours_that_were_not_can_become_so():
    stage = LightStage(LightConfig(size=64, grid=16, widths=(8, 12, 16, 24)))
    stirred(stage)
    with torch.no_grad():
        stage.fade.bias[0] = -1.0
    fields = stage(picture(64), torch.ones(1, 1, 64, 64))
    assert float(fields.faded.detach()) == 0
    fields.faded.sum().backward()
    assert float(stage.fade.bias.grad.abs()) > 0


def test_a_light_stage_that_sees_no_fault_changes_nothing_at_all():
    stage = LightStage(LightConfig(size=64, grid=16, widths=(8, 12, 16, 24))).eval()
    with torch.no_grad():
        stage.believe[2].bias[0] = -9.0
        stage.tone[4].bias[3] = -9.0
        fields = stage(picture(64), torch.ones(1, 1, 64, 64))
    assert float(fields.degraded) == 0
    assert torch.equal(planes(fields.believed()).resized(64).apply(picture(64)), picture(64))


def test_a_closed_gate_can_open_again():
    stage = LightStage(LightConfig(size=64, grid=16, widths=(8, 12, 16, 24)))
    stirred(stage)
    with torch.no_grad():
        stage.believe[2].bias[0] = -3.5
    fields = stage(picture(64), torch.ones(1, 1, 64, 64))
    assert float(fields.degraded.detach()) == 0
    fields.believed().light.sum().backward()
    assert float(stage.believe[2].bias.grad.abs()) > 0


def test_one_image_alone_is_computed_as_in_training():
    block = stirred(ToldBlock(8, 6, 5), 0.5)
    x = torch.rand(1, 8, 24, 24, generator=torch.Generator().manual_seed(2))
    condition = torch.randn(1, 5, generator=torch.Generator().manual_seed(3))
    in_training = block(x, condition).detach()
    with torch.no_grad():
        alone = block(x, condition)
    assert not torch.allclose(alone, x, atol=0.01)
    assert torch.allclose(alone, in_training, atol=1e-5)


def test_a_window_of_the_planes_is_cut_out_of_the_whole():
    generator = torch.Generator().manual_seed(4)
    some = Planes(*(torch.rand(1, 3, 16, 16, generator=generator) for _ in range(2)), torch.ones(1))
    whole = some.resized(100)
    part = some.cut(slice(37, 61), slice(0, 100), size=100)
    assert torch.allclose(part.gain, whole.gain[..., 37:61, :], atol=1e-6)
    assert torch.allclose(part.offset, whole.offset[..., 37:61, :], atol=1e-6)


@pytest.mark.parametrize("narrow", [{}, NARROW])
def test_tiles_of_the_sensor_stage_are_cut_out_of_the_whole(narrow: dict[str, int]):
    stage = stirred(SensorStage(SensorConfig(widths=(8, 12, 16), **narrow), told=64))
    sense = stirred(Sense(SenseConfig()))
    size = 320
    x, vessels = picture(size), torch.rand(1, 1, size, size)
    sensed = sense(torch.randn(1, STATISTICS))
    reach = -(-stage.reach // 8) * 8
    with torch.no_grad():
        whole = stage(x, sensed, vessels)
        cut = slice(64, 64 + 64 + 2 * reach)
        tile = stage(x[..., cut, cut], sensed, vessels[..., cut, cut])
    core = slice(reach, reach + 64)
    wanted = whole[..., 64 + reach : 128 + reach, 64 + reach : 128 + reach]
    assert not torch.allclose(whole, x, atol=1e-2)
    assert torch.allclose(tile[..., core, core], wanted, atol=1e-4)


def test_a_narrow_sensor_stage_computes_the_same_alone_as_in_training():
    stage = stirred(SensorStage(SensorConfig(widths=(8, 12, 16), **NARROW), told=64))
    x, vessels = picture(), torch.rand(1, 1, 96, 96)
    sensed = stirred(Sense(SenseConfig()))(torch.randn(1, STATISTICS))
    in_training = stage(x, sensed, vessels)
    with torch.no_grad():
        alone = stage(x, sensed, vessels)
    assert not torch.allclose(alone, x, atol=0.01)
    assert torch.allclose(alone, in_training, atol=1e-5)


def test_a_narrow_sensor_stage_has_few_channels_where_pixels_are_many():
    wide, narrow = (
        SensorStage(SensorConfig(widths=(8, 12, 16), **sizes), told=64) for sizes in ({}, NARROW)
    )
    assert [block.first.out_channels for block in narrow.encoders] == [4, 12, 16]
    assert [block.first.out_channels for block in narrow.decoders] == [4, 12]
    assert {head.in_channels for head in (narrow.fine, narrow.coarse, narrow.residual)} == {6}
    assert narrow.reach == wide.reach


def test_sense_says_the_same_of_a_picture_and_of_its_mirror_image():
    x = picture(128)
    mask = torch.ones(1, 1, 128, 128)
    one, other = (band_statistics(detail_bands(t), mask) for t in (x, x.flip(3)))
    assert one.shape == (1, STATISTICS)
    assert torch.allclose(one, other, atol=1e-3)


def test_statistics_do_not_see_what_is_masked():
    x = picture(128)
    mask = torch.zeros(1, 1, 128, 128)
    mask[..., 32:96, 32:96] = 1
    bands = detail_bands(x)
    spoilt = Bands(torch.where(mask > 0, bands.stacked, bands.stacked + 1), bands.rest)
    assert torch.allclose(band_statistics(bands, mask), band_statistics(spoilt, mask), atol=1e-5)


def test_identity_matrices_give_the_image_back():
    x = picture(64)
    eye = torch.eye(3).expand(1, BANDS, 3, 3)
    assert torch.allclose(apply_matrices(detail_bands(x), eye), x, atol=1e-5)


def test_a_configuration_says_which_network_it_is():
    config = tiny()
    assert read_config(config.model_dump_json()) == config
    assert isinstance(build_network(config), Restorer)
    with pytest.raises(ValueError, match="table"):
        read_config("[1]")


@pytest.mark.parametrize("size", sorted(RESTORATION_SIZES))
def test_every_size_restores_an_image(size: str):
    network = Restorer(RestorationConfig(size=size, **RESTORATION_SIZES[size])).eval()
    with torch.no_grad():
        y = network(picture(96), torch.ones(1, 1, 96, 96))
    assert y.shape == (1, 3, 96, 96)
    assert torch.isfinite(y).all()


def test_no_stage_waits_for_a_gpu(monkeypatch: pytest.MonkeyPatch):
    """Asking a tensor for its values would; those of the device `meta` cannot be asked.

    Only `undo_sensor` asks, whether anything is faulty: a CUDA graph can hold everything else.
    """
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # not for `meta`
    network = build_network(tiny()).eval().to("meta")
    x, mask = (torch.empty(1, c, 64, 64, device="meta") for c in (3, 1))
    with torch.inference_mode():
        sensed = network.sensed(x, mask)
        y = network.sensor(x, sensed, network.vessels(x))
        fields = network.light_of(y, mask, sensed)
        restored = planes(fields.believed()).resized(128).apply(x.new_empty(1, 3, 128, 128))
    assert restored.shape == (1, 3, 128, 128)
    with pytest.raises(RuntimeError, match="meta"):
        network.undo_sensor(x, sensed, network.vessels(x))


def test_under_autocast_estimates_and_light_keep_all_their_bits():
    """They decide about the whole image, and cost next to nothing."""
    network = stirred(build_network(tiny())).eval()
    x, mask = picture(64), torch.ones(1, 1, 64, 64)
    found = []
    for enabled in (False, True):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            sensed = network.sensed(x, mask)
            fields = network.light_of(x, mask, sensed)
            found.append([*sensed, *fields])
    for exact, other in zip(*found, strict=True):
        assert torch.equal(exact, other)


def test_constants_are_copied_to_the_device_once(monkeypatch: pytest.MonkeyPatch):
    """A copy from the host waits for a GPU, and no CUDA graph can hold it."""
    network = stirred(build_network(tiny())).eval()
    x, mask = picture(64), torch.ones(1, 1, 64, 64)

    def restored() -> torch.Tensor:
        with torch.inference_mode():
            sensed = network.sensed(x, mask)
            y = network.sensor(x, sensed, network.vessels(x))
            return planes(network.light_of(y, mask, sensed).believed()).resized(64).apply(y)

    before = restored()

    def refused(*_: object, **__: object) -> torch.Tensor:
        raise AssertionError("a constant is copied again")

    for name in ("tensor", "as_tensor", "from_numpy"):
        monkeypatch.setattr(torch, name, refused)
    assert torch.equal(restored(), before)


def test_light_is_the_same_whether_or_not_another_image_needs_the_scatter_stage():
    network = stirred(build_network(tiny())).eval()
    x, mask = picture(96), torch.ones(1, 1, 96, 96)
    with torch.inference_mode():
        sensed = network.sensed(x, mask)
        close, small = Squares.of(x, mask, sizes=network.sizes, least=0.99)
        fields = network.light_of(*small, sensed).believed()
        faults = Faults(sensed.blur / 96, sensed.noise, sensed.jpeg)
        likely = torch.full_like(close.mask, 0.5)
        with_stage, share = network.undo_light(fields, small, close, likely, faults)
        without, nothing = network.undo_light(fields, small, None, None, faults)
    assert float(share) == 0
    assert nothing is None
    assert not bool(without.neutral)
    assert all(torch.equal(a, b) for a, b in zip(with_stage, without, strict=True))
