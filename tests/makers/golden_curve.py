"""Losses of a short, deterministic training run of every part, step by step.

    python tests/makers/golden_curve.py

writes tests/training/golden_curve.json. Run it only after a change that is meant to change
training, and say so in the commit: the file is the proof that a refactoring changed nothing.
"""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path

import cv2
import torch

from magenet_batch.training.progress import Reporter
from magenet_batch.training.recipes.load import load_recipe
from magenet_batch.training.recipes.schema import AffineRecipe
from magenet_batch.training.restoration.run import RestorationRun
from magenet_batch.training.trainer import Trainer

CURVE = Path(__file__).parent.parent / "training" / "golden_curve.json"
COMMON = (
    "run.device=cpu", "run.precision=fp32", "run.threads=1", "data.validation=[]",
    "data.vessels=phantom:3", "data.clean=phantom:3", "data.real=phantom:2@50",
    "structure.size=64", "structure.batch=2",
)  # fmt: skip
CHANGES = {
    "smoke": (
        *COMMON, "data.size=192", "structure.steps=6", "sense.samples=16", "sense.batch=8",
        "sense.steps=12", "sensor.steps=12", "sensor.crop=64", "light.steps=24", "light.batch=2",
        "light.real_batch=1", "tone.samples=6", "tone.batch=4", "tone.steps=12",
    ),
    "affine_smoke": (
        *COMMON, "data.size=96", "structure.steps=2", "schedule.steps=24", "schedule.batch=2",
        "schedule.views=[[64, 1, 0.6, 0.4], [32, 2, 0.4, 0.6]]", "consistency.batch=1",
    ),
}  # fmt: skip
"""Recipe -> what makes its run take seconds."""

NOT_LOSSES = ("gradient", "learning_rate", "decibel", "decibel_raw", "dice")
Curve = dict[str, list[float]]


class Recorder(Reporter):
    """Records the losses of every step of every phase, by "phase: loss"."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.curves: Curve = {}

    def step(self, step: int, numbers: dict[str, float], *, seconds: float) -> None:
        super().step(step, numbers, seconds=seconds)
        for name, value in numbers.items():
            if name not in NOT_LOSSES:
                self.curves.setdefault(f"{self._phase}: {name}", []).append(value)


def curve(recipe: str) -> Curve:
    """Train by a recipe and return its losses, step by step."""
    threads = torch.get_num_threads(), cv2.getNumThreads()
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_recipe(recipe, changes=[*CHANGES[recipe], f"run.output={folder}"])
        if isinstance(loaded, AffineRecipe):
            done = Trainer(loaded, reporter=recorder).run()
        else:
            done = RestorationRun(loaded, reporter=recorder, stopped=lambda: False).run()
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])
    assert done
    return recorder.curves


def main() -> None:
    curves = {
        recipe: {
            name: [float(f"{v:.6g}") for v in values] for name, values in curve(recipe).items()
        }
        for recipe in CHANGES
    }
    lines = [
        f'"{recipe}": {{\n'
        + ",\n".join(f"{json.dumps(name)}: {json.dumps(values)}" for name, values in one.items())
        + "\n}"
        for recipe, one in curves.items()
    ]
    CURVE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(CURVE)


if __name__ == "__main__":
    main()
