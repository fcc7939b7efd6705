"""Losses, schedules, the teacher and the step, against their published formulas."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from magenet_batch.degradation import PRESETS
from magenet_batch.errors import TrainingError
from magenet_batch.models.config import magenet_config
from magenet_batch.models.magenet import MageNet
from magenet_batch.randomness import generator
from magenet_batch.training.config import ConsistencyConfig, LossConfig, WeightedView
from magenet_batch.training.data.batches import View, real_pairs, synthetic_pairs
from magenet_batch.training.data.config import AugmentConfig, DataConfig
from magenet_batch.training.data.images import load_training_images
from magenet_batch.training.ema import make_teacher, update_teacher
from magenet_batch.training.losses import (
    charbonnier,
    dissimilarity,
    edge,
    masked_mean,
    relative,
    structure_difference,
)
from magenet_batch.training.recipes.load import load_recipe
from magenet_batch.training.run import train
from magenet_batch.training.schedule import (
    between,
    consistency_weight,
    ema_decay,
    learning_rate,
    view_weights,
)
from magenet_batch.training.step import StepConfig, training_losses

PHOTOS = load_training_images(DataConfig(size=96), ["phantom:6"])
CONFIG = StepConfig(LossConfig(), 0.1, ConsistencyConfig(), autocast=False)
GOLDEN = {
    "charbonnier": 0.16967,
    "edge": 0.18693,
    "ssim": 0.09449,
    "structure": 0.00013,
    "consistency": 0.04911,
    "structure_consistency": 9e-05,
    "total": 0.50041,
}


def batch(step: int = 0, *, ratio: int = 1, real: bool = False):
    rng = generator(1, "test", step)
    shared = {"count": 2, "view": View(64, ratio), "augment": AugmentConfig()}
    if real:
        return real_pairs(
            rng, PHOTOS, weak=PRESETS["weak_view"], strong=PRESETS["strong_view"], **shared
        )
    return synthetic_pairs(rng, PHOTOS, preset=PRESETS["train"], **shared)


def networks(seed: int = 0) -> tuple[MageNet, MageNet]:
    torch.manual_seed(seed)
    student = MageNet(magenet_config("tiny"))
    student.structure.requires_grad_(False)
    return student, make_teacher(student)


def test_charbonnier_is_its_formula():
    x, y = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    expected = (((x - y) ** 2 + 1e-6).sqrt() - 1e-3).mean()
    assert torch.allclose(charbonnier(x, y, torch.ones(1, 1, 4, 4)), expected)


def test_the_relative_loss_counts_shares_of_large_errors_and_small_errors_plainly():
    losses = torch.tensor([1e-5, 0.1, 0.2, 0.4])
    scaled = relative(losses, scale=1e-3)
    assert float(scaled[0]) == pytest.approx(1e-5, rel=0.01)
    assert float(scaled[2] - scaled[1]) == pytest.approx(1e-3 * math.log(2), rel=0.01)
    assert float(scaled[3] - scaled[2]) == pytest.approx(1e-3 * math.log(2), rel=0.01)
    assert torch.allclose(relative(losses, scale=1e4), losses, rtol=1e-3)


def test_a_scale_falls_by_the_same_factor_in_every_share_of_a_run():
    """Geometrically: halfway is the geometric mean, not the arithmetic one."""
    assert between(0.5, 0.005, 0.5) == pytest.approx(0.05)
    assert between(3e-3, 5e-4, 0.25) == pytest.approx(3e-3 * (1 / 6) ** 0.25)
    assert [between(2.0, 8.0, share) for share in (0.0, 1.0, 7.0)] == pytest.approx([2, 8, 8])


def test_views_go_from_their_first_weights_to_their_last():
    views = [WeightedView(128, 2, 0.9, 0.0), WeightedView(256, 1, 0.1, 0.5)]
    assert view_weights(views, 0.0) == pytest.approx([0.9, 0.1])
    assert view_weights(views, 0.5) == pytest.approx([0.6, 0.4])
    assert view_weights(views, 7.0) == pytest.approx([0.0, 1.0])


def test_losses_are_zero_for_equal_images_and_ignore_the_border():
    x = torch.rand(2, 3, 32, 32)
    mask = torch.ones(2, 1, 32, 32)
    mask[..., :16] = 0
    y = x.clone()
    y[..., :15] += 0.3
    for loss in (charbonnier, edge):
        assert loss(x, y, mask).tolist() == pytest.approx([0, 0], abs=1e-7)
    assert dissimilarity(x, x, mask).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert float(dissimilarity(x, torch.rand_like(x), mask).min()) > 0.3
    logits = torch.randn(2, 1, 32, 32)
    assert structure_difference(logits, logits, mask).tolist() == pytest.approx([0, 0], abs=1e-7)
    assert float(structure_difference(logits, -logits, mask).min()) > 0.1
    assert masked_mean(x, torch.zeros_like(mask)).tolist() == [0, 0]


def test_ramp_up_is_that_of_tarvainen_and_valpola():
    for t in (0.0, 0.1, 0.25, 0.5):
        expected = 0.3 * math.exp(-5 * (1 - t / 0.5) ** 2)
        assert consistency_weight(t, weight=0.3, ramp=0.5) == pytest.approx(expected)
    assert consistency_weight(0.8, weight=0.3, ramp=0.5) == 0.3


def test_learning_rate_rises_then_follows_half_a_cosine():
    given = {"peak": 1.0, "final": 0.01, "warmup": 9}
    assert learning_rate(0, 0.0, **given) == pytest.approx(0.1)
    assert learning_rate(500, 0.5, **given) == pytest.approx(0.505)
    assert learning_rate(1000, 1.0, **given) == pytest.approx(0.01)


def test_the_teacher_is_the_mean_of_students_at_first_then_their_moving_average():
    assert [ema_decay(t, decay=0.999) for t in (1, 2, 3)] == pytest.approx([0.5, 2 / 3, 0.75])
    assert ema_decay(10**6, decay=0.999) == 0.999
    student = nn.BatchNorm1d(2)
    teacher = make_teacher(student)
    old = teacher.weight.clone()
    with torch.no_grad():
        student.weight.copy_(torch.tensor([3.0, -1.0]))
        student.running_mean.copy_(torch.tensor([5.0, 6.0]))
    update_teacher(teacher, student, decay=0.9)
    assert torch.allclose(teacher.weight, 0.9 * old + 0.1 * student.weight)
    assert torch.equal(teacher.running_mean, student.running_mean)


def test_gradients_flow_to_the_student_and_none_to_the_teacher():
    student, teacher = networks()
    before = [p.clone() for p in teacher.parameters()]
    losses = training_losses(
        student, teacher, batch(), batch(real=True), config=CONFIG, consistency_weight=0.3
    )
    losses["total"].backward()
    assert {
        "charbonnier",
        "edge",
        "ssim",
        "structure",
        "consistency",
        "structure_consistency",
    } < set(losses)
    assert all(p.grad is None for p in teacher.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, teacher.parameters(), strict=True))
    assert any(p.grad is not None and p.grad.any() for p in student.parameters())


def test_without_consistency_real_images_do_not_matter():
    student, teacher = networks()
    given = {"config": CONFIG, "consistency_weight": 0.0}
    one = training_losses(student, teacher, batch(), None, **given)
    two = training_losses(student, teacher, batch(), batch(real=True), **given)
    assert torch.equal(one["total"], two["total"])


def test_student_and_teacher_see_one_geometry_with_independent_noise():
    pairs = batch(real=True)
    difference = pairs.input.working - pairs.target.working
    assert float(difference.abs().max()) > 0
    assert torch.equal(pairs.input.working == 0, pairs.input.working == 0)
    seeds = generator(1, "test", 0).integers(0, 2**31, 4)
    assert len(set(seeds.tolist())) == 4


def test_a_crop_shows_the_original_under_its_window():
    pairs = batch(ratio=2)
    shown = pairs.target
    assert shown.size == 128
    assert shown.crop.shape == shown.working.shape
    assert shown.top % 8 == 0
    assert shown.left % 8 == 0


def test_a_step_has_its_own_random_numbers():
    one, two, three = batch(5), batch(5), batch(6)
    assert torch.equal(one.input.working, two.input.working)
    assert not torch.equal(one.input.working, three.input.working)


@pytest.mark.slow
def test_four_images_can_be_learned_by_heart():
    """To more than 40 dB in a fixed, light degradation: the network has no bottleneck."""
    torch.manual_seed(0)
    student, teacher = networks()
    from magenet_batch.training.data.batches import MultiScaleView, Pairs

    clean = PHOTOS.images[:4, :, 16:80, 16:80].float() / 255
    degraded = (clean * 0.7 + 0.1).contiguous()
    shown = {
        "input": MultiScaleView(degraded, degraded, 0, 0, 64),
        "target": MultiScaleView(clean, clean, 0, 0, 64),
        "mask": MultiScaleView(torch.ones(4, 1, 64, 64), torch.ones(4, 1, 64, 64), 0, 0, 64),
    }
    optimizer = torch.optim.AdamW(student.parameters(), lr=6e-3)
    for step in range(100):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, step / 100, peak=6e-3, final=1e-5, warmup=10)
        losses = training_losses(
            student, teacher, Pairs(**shown), None, config=CONFIG, consistency_weight=0.0
        )
        optimizer.zero_grad()
        losses["total"].backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
    error = (student(degraded).images[-1] - clean).square().mean()
    assert -10 * math.log10(float(error.detach())) > 40


def test_the_losses_of_a_fixed_seed_are_golden():
    """Any change of data, degradations, network, views or losses shows here."""
    student, teacher = networks()
    with torch.no_grad():
        for parameter in student.parameters():  # heads that do something
            if not parameter.any():
                parameter.normal_(0, 0.02)
    losses = training_losses(
        student, teacher, batch(), batch(real=True), config=CONFIG, consistency_weight=0.3
    )
    assert {k: float(v.detach()) for k, v in losses.items()} == pytest.approx(GOLDEN, abs=2e-4)


def test_a_gradient_that_is_not_finite_stops_the_run_and_leaves_its_batch(tmp_path: Path):
    changes = [
        "schedule.steps=2", "structure.steps=1", "data.size=64", f"run.output={tmp_path}",
        "loss.edge=1e38", "schedule.views=[[64, 1, 1.0, 1.0]]",
    ]  # fmt: skip
    with pytest.raises(TrainingError, match="not finite"):
        train(load_recipe("affine_smoke", changes=changes))
    kept = load_file(tmp_path / "not_finite_0.safetensors")
    assert kept["input"].shape == kept["target"].shape == (4, 3, 64, 64)
