"""The structure module's training: exact resumes, and losses as they always were."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from magenet_batch.models.structure import StructureConfig, StructureModule
from magenet_batch.training.config import StructureTrainingConfig
from magenet_batch.training.data.config import AugmentConfig, DataConfig
from magenet_batch.training.data.images import load_training_images
from magenet_batch.training.part import PhaseOfRun
from magenet_batch.training.progress import Reporter
from magenet_batch.training.structure import train_structure

PHOTOS = load_training_images(DataConfig(size=96), ("phantom:3",), with_vessels=True)
CONFIG = StructureTrainingConfig(steps=6, batch=2, size=64)


def trained(folder: Path, *, stopped: Callable[[], bool]) -> tuple[StructureModule, int]:
    """The module, and how many calls it took."""
    calls = 0
    done = False
    while not done:
        torch.manual_seed(0)
        module = StructureModule(StructureConfig(widths=(4, 8, 8, 8)))
        run = PhaseOfRun(folder, "recipe", 60.0, Reporter(io.StringIO()), stopped)
        done = train_structure(
            module, PHOTOS, config=CONFIG, augment=AugmentConfig(), run=run, seed=1, autocast=False,
            device=torch.device("cpu"),
        )  # fmt: skip
        calls += 1
    return module, calls


def test_a_training_in_segments_is_that_of_an_uninterrupted_one(tmp_path: Path):
    whole, once = trained(tmp_path / "whole", stopped=lambda: False)
    parts, calls = trained(tmp_path / "parts", stopped=lambda: True)
    assert (once, calls) == (1, 6)
    a, b = whole.state_dict(), parts.state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not whole.training


def test_minutes_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        "test_structure.CONFIG", CONFIG.model_copy(update={"steps": 10**9, "minutes": 1e-5})
    )
    assert trained(tmp_path, stopped=lambda: False)[1] == 1
