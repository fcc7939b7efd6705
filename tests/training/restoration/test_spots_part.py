"""The spots part: pairs that differ by spots alone, and a stage that learns to find them."""

from dataclasses import replace

import pytest
import torch

from magenet_batch.degradation import PRESETS
from magenet_batch.models.restoration import spots
from magenet_batch.models.restoration.config import SpotsConfig
from magenet_batch.models.restoration.spots import SpotsStage
from magenet_batch.randomness import generator
from magenet_batch.training.data.config import AugmentConfig, DataConfig
from magenet_batch.training.data.images import load_training_images
from magenet_batch.training.ema import make_teacher
from magenet_batch.training.restoration.cameras import CameraVariety
from magenet_batch.training.restoration.config import SpotsTrainingConfig
from magenet_batch.training.restoration.pairs import LightPairs, Views, drawing
from magenet_batch.training.restoration.spots import SpotsLessons, SpottedPairs, measure_spots

SIZE = 64
IMAGES = load_training_images(DataConfig(size=96), ["phantom:3"])
VIEWS = Views(IMAGES, CameraVariety(AugmentConfig()), drawing(PRESETS["light"], veils=True))
PAIRS = SpottedPairs(VIEWS, SIZE, lit=0.5, spotted=0.7)
CONFIG = SpotsTrainingConfig(batch=4)


@pytest.fixture
def evident(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that a stage believes in is evident."""
    monkeypatch.setattr(spots, "evidence", lambda x, added, mask: torch.ones_like(mask))


def drawn(step: int = 0, count: int = 6, **changes: float) -> LightPairs:
    return replace(PAIRS, **changes).pairs(generator(1, "test", step), count)


def lessons(**changes: float) -> SpotsLessons:
    return SpotsLessons(replace(PAIRS, **changes), CONFIG, seed=1)


def stage(*, stir: float = 0.0) -> SpotsStage:
    torch.manual_seed(2)
    made = SpotsStage(SpotsConfig(width=8, depth=1))
    with torch.no_grad():
        made.last.weight.normal_(0, stir)
    return made


def same(a: LightPairs, b: LightPairs) -> bool:
    return all(torch.equal(x, y) for x, y in zip(vars(a).values(), vars(b).values(), strict=True))


def test_the_same_seed_draws_the_same_pairs():
    assert same(drawn(), drawn())
    assert not torch.equal(drawn().seen, drawn(1).seen)


def test_pairs_are_images_of_eight_bits_that_are_black_outside():
    pairs = drawn()
    assert pairs.seen.shape == pairs.wanted.shape == (6, 3, SIZE, SIZE)
    assert torch.allclose(pairs.seen * 255, (pairs.seen * 255).round(), atol=1e-4)
    for image in (pairs.seen, pairs.wanted):
        assert not (image * (1 - pairs.mask)).any()
        assert 0 <= float(image.min()) <= float(image.max()) <= 1


@pytest.mark.parametrize("lit", [0.0, 1.0])
def test_pairs_differ_by_spots_alone(lit: float):
    """What is added is the same in all channels, but where one of them is clipped."""
    pairs = drawn(lit=lit, spotted=1.0)
    added, x = pairs.seen - pairs.wanted, pairs.seen
    free = (pairs.mask * (x.amin(1, keepdim=True) > 0) * (x.amax(1, keepdim=True) < 1)) > 0
    apart = (added.amax(1, keepdim=True) - added.amin(1, keepdim=True))[free]
    assert float(apart.max()) <= 1.01 / 255
    strongest = added.abs().amax((1, 2, 3))
    assert bool((strongest > 3 / 255).all())
    assert float(added.abs().max()) > 0.1


def test_without_spots_both_images_are_the_same_but_for_rounding():
    pairs = drawn(spotted=0.0)
    assert float((pairs.seen - pairs.wanted).abs().max()) <= 0.501 / 255


def test_light_is_degraded_in_both_images_and_its_spots_are_left_out():
    even, lit = (drawn(lit=share, spotted=0.0) for share in (0.0, 1.0))
    assert torch.equal(even.mask[0], lit.mask[0])
    assert float((even.wanted[0] - lit.wanted[0]).abs().max()) > 0.02
    assert float((lit.seen - lit.wanted).abs().max()) <= 0.501 / 255


def test_the_share_of_images_with_spots_is_as_asked():
    found = 0
    for step in range(5):
        pairs = drawn(step, count=16, spotted=0.5)
        found += int(((pairs.seen - pairs.wanted).abs().amax((1, 2, 3)) > 2 / 255).sum())
    assert 25 <= found <= 55


def test_light_and_belief_are_trained_by_separate_errors():
    """The last layer's channels are, by patch: red, green, blue and the belief."""
    for name, own, other in (("spots", slice(0, 48), slice(48, 64)),
                             ("belief", slice(48, 64), slice(0, 48))):  # fmt: skip
        student = stage(stir=0.1)
        losses = lessons().losses(student, make_teacher(student), 0, 1.0)
        losses[name].backward()
        assert student.last.bias.grad[own].any(), name
        assert not student.last.bias.grad[other].any(), name


def test_losses_sum_to_the_total_and_a_step_has_always_the_same():
    student = stage(stir=0.1)
    teacher = make_teacher(student)
    one, again, other = (lessons().losses(student, teacher, step, 1.0) for step in (3, 3, 4))
    assert float(one["total"]) == pytest.approx(float(one["spots"] + one["belief"]))
    assert float(one["total"]) == float(again["total"]) != float(other["total"])
    one["total"].backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert not one["decibel"].requires_grad


def test_a_new_stage_gains_nothing_and_keeps_clean_images():
    pairs = drawn(spotted=1.0)
    numbers = measure_spots(stage(), [("here", pairs)])
    assert numbers["here_gain"] == 0
    assert numbers["here_clean"] == numbers["here_clean_least"] == pytest.approx(60, abs=1e-3)


@pytest.mark.usefixtures("evident")
def test_a_stage_that_tells_the_truth_gains_and_one_that_lies_loses(
    monkeypatch: pytest.MonkeyPatch,
):
    pairs, made = drawn(spotted=1.0), stage()
    for sign in (1, -1):

        def told(x, mask, sign=sign):
            known = pairs.seen if x is pairs.seen else pairs.wanted
            return sign * (known - pairs.wanted), torch.ones_like(mask)

        monkeypatch.setattr(made, "forward", told)
        numbers = measure_spots(made, [("here", pairs)])
        assert numbers["here_gain"] * sign > 3
        assert numbers["here_clean"] == pytest.approx(60, abs=1e-3)


@pytest.mark.usefixtures("evident")
def test_training_lowers_the_loss_and_what_is_measured_gains():
    student = stage()
    taught = lessons(lit=0.0, spotted=1.0)
    held = replace(PAIRS, lit=0.0, spotted=1.0).pairs(generator(9, "held", 0), 8)
    optimiser = torch.optim.AdamW(student.parameters(), lr=1e-2)

    def loss() -> float:
        losses = [taught.losses(student, student, 1000 + k, 1.0)["total"] for k in range(3)]
        return float(torch.stack(losses).mean().detach())

    before = loss()
    for step in range(800):
        optimiser.zero_grad()
        taught.losses(student, student, step, 1.0)["total"].backward()
        optimiser.step()
    assert loss() < before - 0.2
    numbers = measure_spots(student, [("held", held)])
    assert numbers["held_gain"] > 0.1
    assert numbers["held_clean"] > 30
