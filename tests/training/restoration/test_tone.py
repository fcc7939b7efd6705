"""The tone of known cameras: training finds gains that features tell, and resumes where it was."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from magenet_batch.degradation import preset
from magenet_batch.models.build import build_network
from magenet_batch.models.restoration.cameras import KnownCameras, framed
from magenet_batch.models.restoration.config import (
    RESTORATION_SIZES,
    LightConfig,
    RestorationConfig,
)
from magenet_batch.models.restoration.fields import planes
from magenet_batch.models.restoration.light import LightStage
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.restoration.statistics import STATISTICS
from magenet_batch.randomness import generator
from magenet_batch.training.data.config import DataConfig
from magenet_batch.training.data.images import load_training_images
from magenet_batch.training.part import PhaseOfRun
from magenet_batch.training.progress import Reporter
from magenet_batch.training.restoration.config import ToneTrainingConfig
from magenet_batch.training.restoration.sources import _whole
from magenet_batch.training.restoration.tone import (
    ToneExamples,
    fit_tone,
    measure_tone,
    tone_examples,
    tone_losses,
)
from magenet_batch.training.restoration.whole import WholeImages, joined

SIZE, FEATURES, COUNT = 64, 6, 5
IMAGES = load_training_images(DataConfig(size=96), ["phantom:3"])
CONFIG = ToneTrainingConfig(steps=400, batch=32, dropout=0.0, noise=0.0, clean=0.25)


def stage(*, views: int = 1) -> LightStage:
    """A stage that knows a camera, whose light and veil are not zero."""
    torch.manual_seed(2)
    config = LightConfig(size=SIZE, grid=16, widths=(8, 12, 16, 24), cameras=1, views=views)
    found = LightStage(config)
    with torch.no_grad():
        for parameter in found.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    return found.eval()


@pytest.fixture(scope="module")
def whole() -> WholeImages:
    torch.manual_seed(1)
    network = build_network(RestorationConfig(**RESTORATION_SIZES["tiny"])).eval()
    assert isinstance(network, Restorer)
    return joined([
        _whole(generator(1, "t", k), network, IMAGES, sizes=(96,), how=preset("whole"))
        for k in range(COUNT)
    ])  # fmt: skip


def run_in(folder: Path, *, stop_after: int = 10**9) -> PhaseOfRun:
    asked: list[int] = []

    def stopped() -> bool:
        asked.append(1)
        return len(asked) >= stop_after

    return PhaseOfRun(folder, "f", 1.0, Reporter(), stopped)


def cameras() -> KnownCameras:
    torch.manual_seed(4)
    return KnownCameras(1, size=8, features=FEATURES)


def flat(level_N3: torch.Tensor) -> torch.Tensor:
    return level_N3[:, :, None, None].expand(-1, -1, 4, 4).contiguous()


def made_up(count: int, seed: int) -> ToneExamples:
    """Images whose right log-gains are a linear function of their features."""
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(count, FEATURES, generator=random)
    gains = torch.exp(0.2 * features[:, :3].clamp(-3, 3))
    wanted = 0.1 + 0.2 * torch.rand(count, 3, generator=random)
    even = flat(wanted / gains)
    return ToneExamples(
        features, even, even, flat(wanted), torch.ones(count, 1, 4, 4), torch.zeros(count, 3)
    )


def undegraded(examples: ToneExamples) -> ToneExamples:
    """The same images as they are wanted, told by features without a meaning."""
    return replace(
        examples, features=0 * examples.features, seen=examples.wanted, evened=examples.wanted
    )


def test_examples_are_what_inference_undoes_and_tells_by(whole: WholeImages):
    for views in (1, 4):
        made = stage(views=views)
        seen, clean = tone_examples(made, whole)
        mask = whole.mask.float()
        for x, found, statistics in (
            (whole.seen.float() / 255, seen, whole.seen_statistics),
            (whole.wanted.float() / 255, clean, whole.wanted_statistics),
        ):
            with torch.no_grad():
                fields = made(x, mask, statistics, views=views)
                light = planes(fields.believed().without_tone()).resized(SIZE).apply(x)
            assert torch.allclose(found.own, fields.own.flatten(1), atol=1e-5)
            even = F.interpolate(light * mask, size=(32, 32), mode="area")
            assert torch.allclose(found.evened, even, atol=1e-5)
            assert torch.equal(found.features[:, -STATISTICS:], statistics)
            assert found.features.shape[1] == len(made.known.mean)
        assert torch.equal(seen.wanted, clean.wanted)
        assert torch.equal(clean.seen, clean.wanted)
        assert not torch.equal(seen.seen, seen.wanted)
        assert set(seen.mask.unique().tolist()) == {0, 1}


def test_what_training_tells_of_an_example_is_what_the_stage_tells(whole: WholeImages):
    """A known frame, and images that are seen as they are in training."""
    made = stage()
    made.known.frames[0] = framed(whole.mask[:1].float())[0, 0]
    with torch.no_grad():
        made.known.last.weight.normal_(0, 0.1)
        made.believe[-1].bias[:] = 9.0  # where its light is not believed, the stage doubts the tone
    seen, _ = tone_examples(made, whole)
    with torch.no_grad():
        told = seen.toned(made.known(made.known.normalised(seen.features)))
        found = made(whole.seen[:1].float() / 255, whole.mask[:1].float(),
                     whole.seen_statistics[:1])  # fmt: skip
    assert told.tone.abs().max() > 0.01
    for name in ("tone", "black", "toned", "own"):
        assert torch.allclose(getattr(found, name), getattr(told, name)[:1], atol=1e-4), name


@pytest.mark.parametrize("name", ["tone", "level"])
def test_tone_and_belief_are_trained_by_separate_losses(name: str):
    some = made_up(10, 1)
    for loss, own, other in (
        (name, [0, 1, 2, 4], [3]),
        (f"{name}_belief".replace("tone_", ""), [3], [0, 1, 2, 4]),
    ):
        told = 0.1 * torch.randn(10, 5, generator=torch.Generator().manual_seed(2))
        told.requires_grad_()
        losses = tone_losses(some, told, torch.ones(10), level=2.0)
        losses[loss].backward()
        assert told.grad[:, own].any(), loss
        assert not told.grad[:, other].any(), loss


def test_losses_sum_to_the_total_and_without_level_none_counts():
    some, told = made_up(10, 1), 0.1 * torch.ones(10, 5)
    losses = tone_losses(some, told, torch.ones(10), level=2.0)
    parts = [losses[name] for name in ("tone", "level", "belief", "level_belief")]
    assert float(losses["total"]) == pytest.approx(float(sum(parts)), rel=1e-5)
    without = tone_losses(some, told, torch.ones(10), level=0.0)
    assert float(without["level"]) == float(without["level_belief"]) == 0


def test_clean_images_train_the_belief_and_not_the_tone():
    some = undegraded(made_up(10, 1))
    told = 0.1 * torch.ones(10, 5)
    told.requires_grad_()
    degraded = torch.cat([torch.ones(5), torch.zeros(5)])
    tone_losses(some, told, degraded, level=2.0)["total"].backward()
    assert told.grad[:5, :3].any()
    assert not told.grad[5:, :3].any()
    assert bool((told.grad[5:, 3] > 0).all()), "believing in a wrong tone makes it worse"


def test_the_right_gains_lose_least():
    some = made_up(10, 1)
    right = torch.log(some.wanted / some.evened).mean((2, 3))
    told = torch.cat([torch.atanh(right), torch.tensor([[9.0, 0.0]] * 10)], 1)
    least = tone_losses(some, told, torch.ones(10), level=2.0)
    for seed in range(4):
        step = 0.05 * torch.randn(10, 5, generator=torch.Generator().manual_seed(seed))
        step[:, 3] = 0
        losses = tone_losses(some, told + step, torch.ones(10), level=2.0)
        for name, value in least.items():
            assert float(losses[name]) > float(value), name


def test_blue_that_was_clipped_gets_its_level_back():
    """No gain does that."""
    some = made_up(10, 1)
    dark = some.evened * torch.tensor([1.0, 1.0, 0.0]).view(1, 3, 1, 1)
    flat = torch.full_like(dark[:, 2:], 0.05)
    some = replace(some, evened=dark, wanted=torch.cat([dark[:, :2], flat], 1))
    told = torch.tensor([[0.0, 0.0, 0.0, 9.0, -math.atanh(0.05 / 0.15)]] * 10)
    right = tone_losses(some, told, torch.ones(10), level=2.0)
    assert torch.allclose(some.shown(some.toned(told))[:, 2:], flat, atol=1e-6)
    for step in (-0.2, 0.2, 0.33):
        other = told + step * torch.tensor([0, 0, 1.0, 0, 1.0])
        losses = tone_losses(some, other, torch.ones(10), level=2.0)
        assert float(losses["tone"]) > float(right["tone"])
        assert float(losses["level"]) > float(right["level"])


def test_gains_that_features_tell_are_found_and_a_resumed_fit_is_the_same(tmp_path: Path):
    train, held = made_up(600, 1), made_up(100, 2)
    one, parts = cameras(), cameras()
    one.frames[0, 2:6] = parts.frames[0, 2:6] = 1

    def fit(target: KnownCameras, folder: Path, stop_after: int = 10**9) -> bool:
        torch.manual_seed(stop_after % 1000)  # without effect
        return fit_tone(
            target, train, undegraded(train), {"held": (held, undegraded(held))}, config=CONFIG,
            run=run_in(folder, stop_after=stop_after), seed=1,
        )  # fmt: skip

    assert fit(one, tmp_path / "whole")
    before = {k: v.clone() for k, v in parts.named_parameters()}
    assert not fit(parts, tmp_path / "parts", stop_after=150)
    assert all(torch.equal(v, before[k]) for k, v in cameras().named_parameters())
    again = cameras()
    again.frames.copy_(one.frames)
    assert fit(again, tmp_path / "parts")
    a, b = one.state_dict(), again.state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert torch.allclose(one.mean, train.features.mean(0))
    with torch.no_grad():
        found = torch.tanh(one(one.normalised(held.features))[:, :3])
    wanted = torch.log(held.wanted / held.evened).mean((2, 3))
    assert (found - wanted).square().mean() < 0.2 * wanted.square().mean()
    numbers = measure_tone(one, {"held": (held, undegraded(held))})
    assert numbers["held_raw"] > 3
    assert numbers["held_level"] > 0


def test_dropout_and_noise_are_the_same_for_the_same_seed(tmp_path: Path):
    train = made_up(60, 1)
    config = CONFIG.model_copy(update={"steps": 5, "dropout": 0.4, "noise": 0.4})
    told = []
    for number, (seed, changes) in enumerate([(1, {}), (1, {}), (2, {}), (1, {"noise": 0.0})]):
        made = cameras()
        assert fit_tone(
            made, train, undegraded(train), {}, config=config.model_copy(update=changes),
            run=run_in(tmp_path / str(number)), seed=seed,
        )  # fmt: skip
        told.append(made.last.weight.detach())
    assert torch.equal(told[0], told[1])
    assert not torch.equal(told[0], told[2])
    assert not torch.equal(told[0], told[3])


def test_validation_measures_decibels_over_doing_nothing():
    held = made_up(20, 3)
    numbers = measure_tone(cameras(), {"x": (held, undegraded(held))})
    assert numbers["x_raw"] == pytest.approx(0, abs=1e-3)
    assert numbers["x_level"] == pytest.approx(0, abs=1e-5)
    assert numbers["x_clean"] == pytest.approx(60, abs=0.1)


def test_joined_examples_are_all_of_them():
    one, other = made_up(5, 1), made_up(3, 2)
    both = joined([one, other])
    assert len(both) == 8
    chosen = both[torch.tensor([7, 5])]
    assert len(chosen) == 2
    assert torch.equal(chosen.evened, other.evened[[2, 0]])
    assert torch.equal(chosen.features, other.features[[2, 0]])
