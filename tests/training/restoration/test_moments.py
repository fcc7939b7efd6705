"""Gains of bands in closed form: the form is the error of the pixels, and has its minimum."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from magenet_batch.errors import TrainingError
from magenet_batch.models.restoration.bands import BANDS, detail_bands
from magenet_batch.models.restoration.config import SenseConfig
from magenet_batch.models.restoration.sense import Sense, apply_matrices
from magenet_batch.training.data.config import DataConfig
from magenet_batch.training.part import PhaseOfRun
from magenet_batch.training.progress import Reporter
from magenet_batch.training.restoration.config import MomentsConfig, SensorTrainingConfig
from magenet_batch.training.restoration.gathering import gather_resumably
from magenet_batch.training.restoration.moments import (
    EDGE,
    Moments,
    best_matrices,
    fit_sense,
    gather,
    moments_of,
    squared_error,
)
from magenet_batch.training.restoration.sensor import SensorLessons
from magenet_batch.training.restoration.views import Crops, load_photographs

CONFIG = SensorTrainingConfig(batch=4, crop=64, views=(0.7, 0.9))
PHOTOGRAPHS = load_photographs(DataConfig(size=160), ("phantom:2",))
LESSONS = SensorLessons(PHOTOGRAPHS, None, CONFIG, seed=1, autocast=False)


def exact(crops: Crops) -> Crops:
    """The same in float64, with a mask that has holes."""
    holes = torch.rand(crops.mask.shape, generator=torch.Generator().manual_seed(0)) > 0.2
    double = {name: value.double() for name, value in vars(crops).items() if name != "side"}
    return Crops(**double | {"mask": double["mask"] * holes}, side=crops.side)


CROPS = exact(next(LESSONS.batches("moments")))
MOMENTS = moments_of(CROPS)
EYE = torch.eye(3, dtype=torch.float64).expand(len(MOMENTS), BANDS, 3, 3)


def by_pixels(matrices: torch.Tensor, crops: Crops) -> torch.Tensor:
    """The same error, of restored pixels: of values and of differences of neighbours, (N,)."""
    bands = detail_bands(crops.seen)
    wanted_rest = detail_bands(crops.wanted).rest
    restored = apply_matrices(bands, matrices) - bands.rest
    d = restored - (crops.wanted - wanted_rest)
    m = crops.mask
    error = (d.square() * m).sum((1, 2, 3))
    error += EDGE * (d.diff(dim=2).square() * m[:, :, :-1]).sum((1, 2, 3))
    error += EDGE * (d.diff(dim=3).square() * m[..., :-1]).sum((1, 2, 3))
    return error / m.sum((1, 2, 3))


def some_matrices(seed: int, spread: float = 0.5) -> torch.Tensor:
    drawn = torch.randn(EYE.shape, generator=torch.Generator().manual_seed(seed))
    return EYE + spread * drawn.double()


@pytest.mark.parametrize("seed", range(3))
def test_the_quadratic_form_is_the_error_of_the_pixels(seed: int):
    matrices = some_matrices(seed)
    form, pixels = squared_error(matrices, MOMENTS), by_pixels(matrices, CROPS)
    assert form.tolist() == pytest.approx(pixels.tolist(), rel=1e-6)


def test_identity_matrices_have_the_error_of_doing_nothing():
    found = squared_error(EYE, MOMENTS)
    assert found.tolist() == pytest.approx(by_pixels(EYE, CROPS).tolist(), rel=1e-6, abs=1e-12)
    same = Crops(CROPS.seen, CROPS.seen, CROPS.mask, CROPS.inner, CROPS.facts, CROPS.side)
    nothing_wrong = squared_error(EYE, moments_of(same))
    assert nothing_wrong.tolist() == pytest.approx([0] * len(MOMENTS), abs=1e-12)


def test_no_other_matrices_have_less_error_than_the_best():
    best = best_matrices(MOMENTS).double()
    least = squared_error(best, MOMENTS)
    assert (least <= squared_error(EYE, MOMENTS) + 1e-9).all()
    assert (least >= -1e-9).all()
    for seed in range(40):
        for spread in (1e-3, 1e-2, 0.3):
            other = best + (some_matrices(seed, spread) - EYE)
            assert (squared_error(other, MOMENTS) >= least - 1e-9).all()


def test_moments_are_gathered_crop_by_crop():
    moments = gather(LESSONS.batches("moments"), samples=7)
    assert len(moments) == 7
    first = moments_of(next(LESSONS.batches("moments")))
    for name, value in vars(first).items():
        assert torch.equal(getattr(moments, name)[:4], value), name
    batches = LESSONS.batches("moments")
    next(batches)
    assert torch.equal(moments.square[4:], moments_of(next(batches)).square[:3])
    some = moments[torch.tensor([6, 1])]
    assert torch.equal(some.square, moments.square[[6, 1]])


def run_in(folder: Path, *, stopped: Callable[[], bool] = lambda: False) -> PhaseOfRun:
    return PhaseOfRun(folder, "recipe", 60.0, Reporter(io.StringIO()), stopped)


def batches(first: int) -> Iterator[Crops]:
    return LESSONS.batches("moments", first=first)


def test_moments_that_are_gathered_in_sittings_are_those_of_one(tmp_path: Path):
    whole = gather_resumably(batches, samples=10, batch=4, run=run_in(tmp_path / "whole"))
    calls = 0
    parts = None
    while parts is None:
        run = run_in(tmp_path / "parts", stopped=lambda: True)
        parts = gather_resumably(batches, samples=10, batch=4, run=run)
        calls += 1
    assert calls == 3
    assert whole is not None
    for name, value in vars(whole).items():
        assert torch.equal(getattr(parts, name), value), name
    again = gather_resumably(
        lambda first: pytest.fail("it gathered again"), samples=10, batch=4,
        run=run_in(tmp_path / "parts"),
    )  # fmt: skip
    assert again is not None
    assert torch.equal(again.square, whole.square)


def test_moments_of_another_recipe_are_refused(tmp_path: Path):
    gather_resumably(batches, samples=4, batch=4, run=run_in(tmp_path))
    other = replace(run_in(tmp_path), fingerprint="other")
    with pytest.raises(TrainingError, match="another recipe"):
        gather_resumably(batches, samples=4, batch=4, run=other)


def test_a_fit_in_sittings_is_that_of_one(tmp_path: Path):
    moments = gather(LESSONS.batches("moments"), samples=16)
    config = MomentsConfig(steps=7, batch=8)

    def fitted(folder: Path, stopped: Callable[[], bool]) -> tuple[Sense, int]:
        found, calls = None, 0
        while found is None:
            torch.manual_seed(0)
            sense = Sense(SenseConfig(hidden=(16,)))
            found = fit_sense(
                sense, moments, config=config, run=run_in(folder, stopped=stopped), seed=1
            )
            calls += 1
        return sense, calls

    whole, once = fitted(tmp_path / "whole", lambda: False)
    parts, calls = fitted(tmp_path / "parts", lambda: True)
    assert (once, calls) == (1, 7)
    a, b = whole.state_dict(), parts.state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_sense_learns_gains_that_lower_the_error_and_what_is_wrong(tmp_path: Path):
    """On its own training crops, by heart: the tenth put aside is of the same few kinds."""
    moments = gather(LESSONS.batches("moments"), samples=40)
    twice = Moments(*(torch.cat([value] * 2) for value in vars(moments).values()))
    torch.manual_seed(0)
    sense = Sense(SenseConfig(hidden=(32,)))
    config = MomentsConfig(steps=300, batch=32)
    found = fit_sense(sense, twice, config=config, run=run_in(tmp_path), seed=1)
    assert found is not None
    assert 0.5 < found["decibel"] < found["best"]
    assert not sense.training
    assert torch.allclose(sense.mean, twice.statistics[len(twice) // 10 :].mean(0))
