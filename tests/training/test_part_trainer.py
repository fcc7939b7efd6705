"""The loop that trains a part: exact resumes, refusals, and an end to every run."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from magenet_batch.errors import TrainingError
from magenet_batch.randomness import generator
from magenet_batch.training.part import PartSchedule, PartTrainer
from magenet_batch.training.progress import Reporter

SCHEDULE = PartSchedule(
    steps=25, minutes=0.0, peak=1e-2, final=1e-4, ema=0.9, validate_every=10,
    checkpoint_minutes=60.0, fingerprint="recipe",
)  # fmt: skip


def losses(
    student: nn.Module, teacher: nn.Module, step: int, share: float
) -> dict[str, torch.Tensor]:
    """Learn to double numbers; a step has its own numbers, and the teacher counts too."""
    x = torch.from_numpy(generator(1, "numbers", step).standard_normal((8, 3))).float()
    wrong = (student(x) - 2 * x).square().mean()
    agreement = (student(x) - teacher(x).detach()).square().mean()
    return {"wrong": wrong, "agreement": agreement, "total": wrong + (0.1 + share) * agreement}


def after(steps: int) -> Callable[[], bool]:
    """A stop after so many steps."""
    asked: Iterator[bool] = iter([False] * (steps - 1) + [True] * 100)
    return lambda: next(asked)


def trainer(
    folder: Path,
    *,
    schedule: PartSchedule = SCHEDULE,
    stopped: Callable[[], bool] = lambda: False,
    losses: Callable = losses,
    said: io.StringIO | None = None,
) -> PartTrainer:
    torch.manual_seed(0)
    student = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
    return PartTrainer(
        "light", student, losses=losses, validate=lambda t: {"weight": float(t[0].weight.mean())},
        schedule=schedule, folder=folder, reporter=Reporter(said or io.StringIO()), stopped=stopped,
    )  # fmt: skip


def points(folder: Path) -> list[dict]:
    lines = (folder / "light" / "curves.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def assert_same(one: nn.Module, other: nn.Module) -> None:
    a, b = one.state_dict(), other.state_dict()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("stops", [[1], [7], [3, 20], [24]])
def test_a_resumed_training_is_that_of_an_uninterrupted_one(tmp_path: Path, stops: list[int]):
    whole = trainer(tmp_path / "whole")
    assert whole.run()
    done = 0
    for stop in stops:
        assert not trainer(tmp_path / "parts", stopped=after(stop - done)).run()
        done = stop
    said = io.StringIO()
    last = trainer(tmp_path / "parts", said=said)
    assert last.run()
    assert last.progress.step == 25
    assert f"light: resuming at step {done}, 25 steps" in said.getvalue()
    assert_same(last.student, whole.student)
    assert_same(last.teacher, whole.teacher)
    assert points(tmp_path / "parts") == points(tmp_path / "whole")


def test_student_and_teacher_differ_and_the_student_learns(tmp_path: Path):
    one = trainer(tmp_path)
    before = [p.clone() for p in one.student.parameters()]
    assert one.run()
    assert any(not torch.equal(a, b) for a, b in zip(before, one.student.parameters(), strict=True))
    assert not torch.equal(one.student[0].weight, one.teacher[0].weight)
    assert all(not p.requires_grad for p in one.teacher.parameters())


def test_it_is_measured_now_and_then_and_at_the_end(tmp_path: Path):
    trainer(tmp_path).run()
    steps = {group: [p["step"] for p in points(tmp_path) if p["group"] == group]
             for group in ("train", "validation")}  # fmt: skip
    assert steps == {"train": [20], "validation": [10, 20, 25]}


def test_every_call_takes_a_step(tmp_path: Path):
    """However soon it is stopped, so that short segments come to an end."""
    schedule = replace(SCHEDULE, steps=4)
    calls = 0
    while not (one := trainer(tmp_path, schedule=schedule, stopped=lambda: True)).run():
        calls += 1
        assert one.progress.step == calls
    assert calls == 3


def test_a_part_that_is_done_stays_as_it_is(tmp_path: Path):
    first = trainer(tmp_path)
    assert first.run()
    again = trainer(tmp_path, losses=lambda *_: pytest.fail("it trained on"))
    assert again.run()
    assert_same(first.teacher, again.teacher)


def test_more_steps_train_on(tmp_path: Path):
    assert trainer(tmp_path).run()
    longer = trainer(tmp_path, schedule=replace(SCHEDULE, steps=30))
    assert longer.run()
    assert longer.progress.step == 30


def test_minutes_end_a_training_too(tmp_path: Path):
    one = trainer(tmp_path, schedule=replace(SCHEDULE, steps=10**9, minutes=1e-4))
    assert one.run()
    assert 1 <= one.progress.step < 10**6
    assert points(tmp_path)[-1]["group"] == "validation"


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path):
    trainer(tmp_path, stopped=after(2)).run()
    with pytest.raises(TrainingError, match="another recipe"):
        trainer(tmp_path, schedule=replace(SCHEDULE, fingerprint="other")).run()


def test_a_damaged_checkpoint_is_said(tmp_path: Path):
    trainer(tmp_path, stopped=after(2)).run()
    path = tmp_path / "light.checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(TrainingError, match="cannot be read"):
        trainer(tmp_path).run()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_stops_it_and_leaves_the_last_checkpoint(
    tmp_path: Path, value: float
):
    def spoilt(student: nn.Module, teacher: nn.Module, step: int, share: float) -> dict:
        found = losses(student, teacher, step, share)
        return found | {"total": found["total"] * (value if step == 5 else 1.0)}

    trainer(tmp_path, stopped=after(3)).run()
    kept = (tmp_path / "light.checkpoint.safetensors").read_bytes()
    with pytest.raises(TrainingError, match=r"step 5 of light is not finite.*wrong.*learning_rate"):
        trainer(tmp_path, losses=spoilt).run()
    assert (tmp_path / "light.checkpoint.safetensors").read_bytes() == kept
