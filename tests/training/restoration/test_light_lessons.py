"""What trains which part of the light stage, and on what."""

from collections.abc import Iterable

import pytest
import torch
from torch import nn

from magenet_batch.degradation import PRESETS
from magenet_batch.models.restoration.cameras import framed
from magenet_batch.models.restoration.config import LightConfig
from magenet_batch.models.restoration.fields import bicubic_matrix
from magenet_batch.models.restoration.light import LightStage
from magenet_batch.models.restoration.statistics import STATISTICS
from magenet_batch.quality.full_reference import similarity_maps
from magenet_batch.randomness import generator
from magenet_batch.training.data.config import AugmentConfig, DataConfig
from magenet_batch.training.data.images import load_training_images
from magenet_batch.training.ema import make_teacher
from magenet_batch.training.restoration.cameras import CameraVariety
from magenet_batch.training.restoration.config import LightTrainingConfig
from magenet_batch.training.restoration.light import (
    LightLessons,
    aligned,
    decibels,
    measure_light,
    restored,
    unlike,
)
from magenet_batch.training.restoration.pairs import DrawnPairs, Views, drawing
from magenet_batch.training.restoration.sources import repeated

SIZE = 64
IMAGES = load_training_images(DataConfig(size=96), ["phantom:3"])
CONFIG = LightTrainingConfig(batch=3, real_batch=2)
BELIEVING, TONING = {"believe"}, {"tone"}
FIELDS = {"fade", "down", "whole", "up", "fields", "rest"}


CLEAN = Views(IMAGES, CameraVariety(AugmentConfig()), drawing(PRESETS["light"], veils=True))
REAL = Views(
    IMAGES, CameraVariety(AugmentConfig(colour_share=0.0)),
    seen=drawing(PRESETS["strong_view"]), wanted=drawing(PRESETS["weak_view"]),
)  # fmt: skip


def lessons(real: bool = True, **changes: object) -> LightLessons:
    return LightLessons(
        DrawnPairs(CLEAN, SIZE), DrawnPairs(REAL, SIZE) if real else None,
        CONFIG.model_copy(update=changes), seed=1,
    )  # fmt: skip


def stage(*, cameras: int = 0) -> LightStage:
    """A light stage in which nothing is exactly zero and every gate is half open."""
    torch.manual_seed(2)
    found = LightStage(LightConfig(size=SIZE, grid=16, widths=(8, 12, 16, 24), cameras=cameras))
    with torch.no_grad():
        for parameter in found.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    return found


def trained(module: nn.Module) -> set[str]:
    """Parts whose parameters have a gradient."""
    return {
        name.split(".")[0]
        for name, parameter in module.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }


def gradients_of(names: Iterable[str], step: int = 0, share: float = 1.0) -> LightStage:
    student = stage()
    losses = lessons().losses(student, make_teacher(student), step, share)
    sum(losses[name] for name in names).backward()
    return student


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_losses_are_finite_and_sum_to_the_total(share: float):
    student = stage()
    losses = lessons().losses(student, make_teacher(student), 0, share)
    assert all(torch.isfinite(value) for value in losses.values())
    parts = {"light", "detail", "belief", "consistency"}
    parts |= {"tone", "level", "tone_belief", "level_belief"}
    assert parts <= set(losses)
    assert float(losses["total"]) == pytest.approx(float(sum(losses[p] for p in parts)), rel=1e-5)
    losses["total"].backward()
    assert trained(student) == FIELDS | BELIEVING | TONING
    assert all(p.grad is None or p.grad.isfinite().all() for p in student.parameters())


def test_statistics_tell_the_tone_alone_and_a_new_stage_does_not_heed_them():
    still = LightStage(LightConfig(size=SIZE, grid=16, widths=(8, 12, 16, 24), cameras=3))
    knowing = stage(cameras=3)
    pairs = DrawnPairs(CLEAN, SIZE).pairs(generator(1, "w", 0), 3)
    told = torch.randn(3, STATISTICS, generator=torch.Generator().manual_seed(1))
    knowing.known.frames.copy_(framed(pairs.mask)[:, 0])
    for changes, stage_ in ((False, still), (True, knowing)):
        heard, deaf = (stage_(pairs.seen, pairs.mask, s) for s in (told, None))
        assert torch.equal(heard.light, deaf.light)
        assert torch.equal(heard.veil, deaf.veil)
        assert torch.equal(heard.faded, deaf.faded)
        assert torch.equal(heard.tone, deaf.tone) != changes


@pytest.mark.parametrize("name", ["light", "detail", "consistency"])
def test_what_restores_trains_the_fields_and_not_the_belief_in_them(name: str):
    assert trained(gradients_of([name])) == FIELDS


def test_belief_is_trained_by_itself():
    """Its small errors would teach the fields to do nothing."""
    assert trained(gradients_of(["belief"])) == BELIEVING


@pytest.mark.parametrize("name", ["tone", "level"])
def test_the_tone_s_errors_train_the_tone_alone_and_its_beliefs_the_belief(name: str):
    last = gradients_of([name]).tone[-1].weight.grad
    assert last[:3].any()
    assert not last[3].any()
    assert trained(gradients_of([name])) == TONING
    last = gradients_of([f"{name}_belief"]).tone[-1].weight.grad
    assert last[3].any()
    assert not last[:3].any()
    assert trained(gradients_of([f"{name}_belief"])) == TONING


def test_unlike_is_one_minus_the_similarity_of_light_and_dark_channels_count_alike():
    level = torch.tensor([0.6, 0.3, 0.1]).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    mask = torch.ones(1, 1, 32, 32)
    for factor in (1.0, 0.5, 1.5):
        for channel in range(3):
            other = level.clone()
            other[:, channel] *= factor
            similar, _ = similarity_maps(preds=other, target=level)
            found = unlike(other, level, mask)
            assert float(found) == pytest.approx(float((1 - similar).mean()), abs=1e-5)
            assert float(found) == pytest.approx((1 - 2 * factor / (1 + factor**2)) / 3, abs=4e-3)
    half = torch.cat([mask[..., :16], torch.zeros_like(mask[..., 16:])], -1)
    other = torch.cat([level[..., :16], 0 * level[..., 16:]], -1)
    assert float(unlike(other, level, half)) == 0
    assert torch.isfinite(unlike(level - 1, level, mask)).all()


def test_the_teacher_is_not_trained():
    student = stage()
    teacher = make_teacher(student)
    lessons().losses(student, teacher, 0, 1.0)["total"].backward()
    assert trained(teacher) == set()


def test_real_images_count_on_every_third_step_and_only_where_there_are_some():
    student = stage()
    teacher = make_teacher(student)
    keys = [set(lessons().losses(student, teacher, step, 1.0)) for step in range(4)]
    assert ["consistency" in k for k in keys] == [True, False, False, True]
    assert "consistency" not in lessons(real=False).losses(student, teacher, 0, 1.0)
    assert "consistency" not in lessons(consistency=0.0).losses(student, teacher, 0, 1.0)


def test_a_step_has_its_own_lesson_and_always_the_same():
    student = stage()
    teacher = make_teacher(student)
    one, two, three = (
        float(lessons().losses(student, teacher, step, 1.0)["total"].detach()) for step in (6, 6, 9)
    )
    assert one == two != three


def test_pairs_are_images_of_eight_bits_that_are_black_outside():
    pairs, again = (DrawnPairs(CLEAN, SIZE).pairs(generator(1, "test", 0), 3) for _ in range(2))
    assert torch.equal(pairs.seen, again.seen)
    assert pairs.seen.shape == pairs.wanted.shape == (3, 3, SIZE, SIZE)
    levels = pairs.seen * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    for image in (pairs.seen, pairs.wanted):
        assert not (image * (1 - pairs.mask)).any()
        assert 0 <= float(image.min()) <= float(image.max()) <= 1
    assert set(pairs.mask.unique().tolist()) == {0, 1}


def test_without_texture_and_other_cameras_clean_images_stay_clean():
    still = CameraVariety(AugmentConfig(rotate=0, zoom=(1, 1), shift=0, colour_share=0))
    plain = DrawnPairs(Views(IMAGES, still, drawing(PRESETS["light"])), 96)
    wanted = plain.pairs(generator(1, "test", 0), 4).wanted
    known = [IMAGES.images.float() / 255, IMAGES.images.flip(3).float() / 255]
    apart = [(image - other).abs().mean((1, 2, 3)) for image in wanted for other in known]
    nearest = torch.stack(apart).view(4, 2, -1).amin((1, 2))
    assert float(nearest.max()) < 0.01


def test_a_stage_that_finds_nothing_wrong_is_measured_as_doing_nothing():
    closed = stage()
    with torch.no_grad():
        closed.believe[-1].bias[0] = -99.0
        closed.tone[-1].bias[3] = -99.0
    closed.eval()
    pairs = DrawnPairs(CLEAN, SIZE).pairs(generator(1, "test", 0), 3)
    measured = measure_light(closed, [("here", pairs)])
    assert measured["here_even"] == pytest.approx(0, abs=1e-4)
    assert measured["here_raw"] == pytest.approx(0, abs=1e-4)
    assert measured["here_level"] == pytest.approx(0, abs=1e-5)
    assert measured["here_clean"] == measured["here_clean_least"] == pytest.approx(60, abs=1e-3)


def test_aligning_undoes_the_gains_of_channels():
    x = 0.2 + 0.4 * torch.rand(2, 3, 16, 16)
    gains = torch.tensor([0.5, 1.2, 2.0]).view(1, 3, 1, 1)
    assert torch.allclose(aligned(gains * x, x, torch.ones(2, 1, 16, 16)), x, atol=1e-6)
    assert float(decibels(torch.tensor(1e-2), torch.tensor(1e-3))) == pytest.approx(10, abs=0.05)


def test_what_inference_kept_serves_training_too():
    """Matrices are kept between calls; those that inference makes could not be trained through."""
    bicubic_matrix.cache_clear()
    student = stage()
    x, mask = torch.rand(1, 3, SIZE, SIZE), torch.ones(1, 1, SIZE, SIZE)
    with torch.inference_mode():
        restored(x, student(x, mask))
    restored(x, student(x, mask)).sum().backward()
    assert "fields" in trained(student)


def test_folders_with_few_images_are_drawn_more_often():
    more = repeated(IMAGES, {"phantom": 3})
    assert more.names == tuple(name for name in IMAGES.names for _ in range(3))
    assert torch.equal(more.images[3], IMAGES.images[1])
    assert repeated(IMAGES, {"elsewhere": 3}).names == IMAGES.names
