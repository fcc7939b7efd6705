"""The tone in closed form: its error is that of the pixels, and its training finds the gains."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from magenet_batch.degradation import PRESETS, DegradationParams
from magenet_batch.models.restoration.config import LightConfig
from magenet_batch.models.restoration.fields import planes
from magenet_batch.models.restoration.light import LightStage
from magenet_batch.models.restoration.statistics import STATISTICS
from magenet_batch.randomness import generator
from magenet_batch.training.data.config import AugmentConfig, DataConfig
from magenet_batch.training.data.images import load_training_images
from magenet_batch.training.part import PhaseOfRun
from magenet_batch.training.progress import Reporter
from magenet_batch.training.restoration.cameras import CameraVariety
from magenet_batch.training.restoration.config import ToneTrainingConfig
from magenet_batch.training.restoration.pairs import Views, drawing
from magenet_batch.training.restoration.sources import of_the_sensor
from magenet_batch.training.restoration.tone import (
    ToneHead,
    ToneMoments,
    fit_tone,
    measure_tone,
    tone_losses,
    tone_moments,
)
from magenet_batch.training.restoration.whole import joined

SIZE = 64
IMAGES = load_training_images(DataConfig(size=96), ["phantom:3"])
VIEWS = Views(IMAGES, CameraVariety(AugmentConfig()), drawing(PRESETS["whole"], veils=True))
WHOLE = joined([VIEWS.whole(generator(1, "t", k), full=96, size=SIZE) for k in range(5)])
CONFIG = ToneTrainingConfig(steps=400, batch=32, dropout=0.0, silent=0.0, noise=0.0, clean=0.25)


def stage() -> LightStage:
    """A stage whose light and veil are not zero."""
    torch.manual_seed(2)
    found = LightStage(LightConfig(size=SIZE, grid=16, widths=(8, 12, 16, 24), statistics=True))
    with torch.no_grad():
        for parameter in found.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    return found.eval()


STAGE = stage()
TOLD = torch.randn(5, STATISTICS, generator=torch.Generator().manual_seed(3))
MOMENTS, CLEAN = tone_moments(STAGE, WHOLE, lambda z: TOLD)


def run_in(folder: Path, *, stop_after: int = 10**9) -> PhaseOfRun:
    asked: list[int] = []

    def stopped() -> bool:
        asked.append(1)
        return len(asked) >= stop_after

    return PhaseOfRun(folder, "f", 1.0, Reporter(), stopped)


def made_up(count: int, seed: int) -> ToneMoments:
    """Images whose right gains are a linear function of their statistics."""
    random = torch.Generator().manual_seed(seed)
    z = torch.randn(count, STATISTICS, generator=random)
    gains = torch.exp(0.3 * torch.tanh(z[:, :3]))
    wanted = 0.1 + 0.2 * torch.rand(count, 3, generator=random)
    colours = torch.randn(count, MOMENTS.colours.shape[1], generator=random)
    return ToneMoments(
        colours, z, wanted / gains.square(), wanted / gains, wanted,
        (wanted * (1 / gains - 1).square()).mean(1), torch.zeros(count, 3),
    )  # fmt: skip


@pytest.mark.parametrize("clean", [False, True])
def test_the_error_of_moments_is_that_of_the_pixels(clean: bool):
    wanted, mask = WHOLE.wanted.float() / 255, WHOLE.mask.float()
    x = wanted if clean else WHOLE.seen.float() / 255
    gains = 0.4 * torch.randn(5, 3, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        fields = STAGE(x, mask, TOLD)
        known = fields._replace(tone=gains[:, :, None, None], toned=torch.ones(5))
        restored = planes(known.believed()).resized(SIZE).apply(x)
    count = mask.sum((1, 2, 3))
    error = ((restored - wanted) * mask).square().sum((1, 2, 3)) / count / 3
    found = CLEAN if clean else MOMENTS
    assert torch.allclose(found.squared_error(gains), error, rtol=1e-3, atol=1e-6)
    assert torch.allclose(found.own, fields.own.flatten(1), atol=1e-5)
    before = ((x - wanted) * mask).square().sum((1, 2, 3)) / count / 3
    assert torch.allclose(found.before, before, atol=1e-6)


def test_no_gains_are_better_than_the_ratio_of_the_moments():
    best = torch.log(MOMENTS.product / MOMENTS.evened)
    least = MOMENTS.squared_error(best)
    for seed in range(5):
        step = 0.05 * torch.randn(5, 3, generator=torch.Generator().manual_seed(seed))
        assert (MOMENTS.squared_error(best + step) >= least - 1e-7).all()


def test_a_written_head_tells_the_stage_what_it_told_in_training():
    target = stage()
    torch.manual_seed(5)
    head = ToneHead(target, MOMENTS.colours, dropout=0.4)
    with torch.no_grad():
        head.last.weight.normal_(0, 0.1)
        head.last.bias.normal_(0, 0.1)
        head.tell[-1].weight.normal_(0, 0.02)
    told = head(MOMENTS, TOLD)
    head.write(target)
    with torch.no_grad():
        found = target(WHOLE.seen.float() / 255, WHOLE.mask.float(), TOLD)
    assert told.tone.abs().max() > 0.01
    assert torch.allclose(found.tone, told.tone, atol=1e-4)
    assert torch.allclose(found.toned, told.toned, atol=1e-4)
    assert torch.allclose(found.own, told.own, atol=1e-6)


def test_a_new_head_keeps_the_tone_half_way_and_its_belief_is_trained_by_itself():
    head = ToneHead(stage(), MOMENTS.colours, dropout=0.0)
    told = head(MOMENTS, TOLD)
    assert not told.tone.any()
    losses = tone_losses(MOMENTS, told)
    losses["belief"].backward(retain_graph=True)
    assert not head.last.weight.grad[:3].any()
    assert head.last.weight.grad[3].any()
    head.zero_grad()
    losses["tone"].backward()
    assert head.last.weight.grad[:3].any()
    assert not head.last.weight.grad[3].any()


def test_gains_that_statistics_tell_are_found_and_a_resumed_fit_is_the_same(tmp_path: Path):
    train, held = made_up(600, 1), made_up(100, 2)
    clean = replace(train, evened=train.wanted, product=train.wanted, statistics=0 * train.colours[
        :, :1].expand(-1, STATISTICS))  # fmt: skip
    whole, parts = stage(), stage()
    light = {k: v.clone() for k, v in whole.state_dict().items() if not k.startswith("t")}

    def fit(target: LightStage, folder: Path, stop_after: int = 10**9) -> bool:
        torch.manual_seed(stop_after)  # without effect
        return fit_tone(
            target, train, clean, {"held": (held, held)}, config=CONFIG,
            run=run_in(folder, stop_after=stop_after), seed=1,
        )  # fmt: skip

    assert fit(whole, tmp_path / "whole")
    before = {k: v.clone() for k, v in parts.state_dict().items()}
    assert not fit(parts, tmp_path / "parts", stop_after=150)
    assert all(torch.equal(v, before[k]) for k, v in parts.state_dict().items())
    assert fit(parts, tmp_path / "parts")
    a, b = whole.state_dict(), parts.state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert all(torch.equal(a[key], value) for key, value in light.items())
    first = whole.tone[0](held.colours) + whole.tell_tone(held.statistics)
    found = torch.tanh(whole.tone[1:](first)[:, :3])
    wanted = torch.log(held.product / held.evened)
    assert (found - wanted).square().mean() < 0.5 * wanted.square().mean()


def test_validation_measures_decibels_over_doing_nothing():
    head = ToneHead(stage(), MOMENTS.colours, dropout=0.0)
    known = made_up(20, 3)
    numbers = measure_tone(head, {"x": (known, replace(known, evened=known.wanted,
                                                       product=known.wanted))})  # fmt: skip
    assert numbers["x_raw"] == pytest.approx(0, abs=1e-2)
    assert numbers["x_clean"] == pytest.approx(60, abs=0.1)


def test_joined_moments_are_all_of_them():
    both = joined([MOMENTS, CLEAN])
    assert len(both) == 10
    assert torch.equal(both[torch.arange(5, 10)].evened, CLEAN.evened)


def test_turned_images_have_the_same_error():
    turned = WHOLE.turned()
    assert torch.equal(turned.seen.sum((2, 3)), WHOLE.seen.sum((2, 3)))
    assert not torch.equal(turned.seen, WHOLE.seen)
    found, _ = tone_moments(STAGE, turned, lambda z: TOLD)
    assert torch.allclose(found.before, MOMENTS.before, rtol=1e-4)
    assert not torch.allclose(found.colours, MOMENTS.colours, rtol=1e-4)


def test_sensor_faults_alone_keep_light_and_colour():
    how = of_the_sensor(drawing(PRESETS["whole"], veils=True))
    kinds: set[str] = set()
    for number in range(40):
        params = how(generator(1, "q", number))
        assert isinstance(params, DegradationParams)
        kinds |= set(params.kinds())
    assert kinds == {"blur", "noise", "jpeg", "spots"}
