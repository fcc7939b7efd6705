"""The share of a training step outside the network: batches, clipping, optimiser and teacher.

    python benchmarks/training_step.py [--steps 12] [-o benchmarks/results/training_step.json]

The parts `sensor` and `light` of the recipe `small` on phantoms, with one thread for the network,
as the recipe says, on two cores: with batches made in the step, and by a process that prepares them
ahead (`run.loaders` = 1). Waiting for a batch counts as outside. Each is a run of the product's own
trainer, whose first two steps are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import torch
from safetensors.torch import save_file

from magenet_batch.models.weights import load_weights
from magenet_batch.training import part as part_module
from magenet_batch.training.data.ahead import Ahead
from magenet_batch.training.part import PartTrainer
from magenet_batch.training.progress import Reporter
from magenet_batch.training.recipes.load import load_recipe
from magenet_batch.training.restoration.run import RestorationRun

_WARM = 2  # steps that are not counted


class Spent:
    """Seconds of each kind of work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timing(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, whose time is added up."""

        def timed(*given: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return work(*given, **named)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

        return timed


@contextmanager
def watched(spent: Spent) -> Iterator[None]:
    """Time the parts of every step of training inside the block."""
    with (
        patch.object(Ahead, "at", spent.timing("batches", Ahead.at)),
        patch.object(PartTrainer, "_step", spent.timing("steps", PartTrainer._step)),
        patch.object(
            part_module, "update_teacher", spent.timing("teacher", part_module.update_teacher)
        ),
        patch.object(torch.optim.AdamW, "step", spent.timing("optimiser", torch.optim.AdamW.step)),
        patch.object(
            torch.nn.utils, "clip_grad_norm_",
            spent.timing("clipping", torch.nn.utils.clip_grad_norm_),
        ),
    ):  # fmt: skip
        yield


def _trained(folder: Path) -> None:
    """Write the parts that the sensor part builds on: those of the shipped weights."""
    network: Any = load_weights("small")[0]
    for name in ("structure", "sense"):
        tensors = {k: v.contiguous() for k, v in getattr(network, name).state_dict().items()}
        save_file(tensors, folder / f"{name}.safetensors")


def measure(part: str, *, loaders: int, steps: int) -> dict[str, float]:
    """Seconds of a step of one part, and the share of each kind of work outside the network."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = load_recipe(
            "small",
            changes=[
                "data.clean=phantom:8", "data.validation=", "data.real=", "data.vessels=phantom:8",
                f"run.output={folder}", f"run.loaders={loaders}", "run.threads=1",
                f"{part}.steps={steps + _WARM}", f"{part}.minutes=0",
                f'run.parts=["{part}"]',
            ],
        )  # fmt: skip
        _trained(Path(folder))
        spent = Spent()

        def stopped() -> bool:
            nonlocal spent_before
            done.append(dict(spent.seconds))
            if len(done) == _WARM:
                spent_before = dict(spent.seconds)
            return False

        done: list[dict[str, float]] = []
        spent_before: dict[str, float] = {}
        run = RestorationRun(recipe, reporter=Reporter(), stopped=stopped)  # type: ignore[arg-type]
        with watched(spent):
            run.run()
    total = {key: value - spent_before.get(key, 0.0) for key, value in spent.seconds.items()}
    whole = total.pop("steps")
    shares = {name: seconds / whole for name, seconds in total.items()}
    return {"step_ms": 1000 * whole / steps, **shares, "outside": sum(shares.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("-o", "--output", type=Path)
    told = parser.parse_args()
    cv2.setNumThreads(1)
    found: dict[str, Any] = {"steps": told.steps, "load": os.getloadavg()[0], "parts": {}}
    for part in ("sensor", "light"):
        for loaders in (0, 1):
            one = measure(part, loaders=loaders, steps=told.steps)
            found["parts"][f"{part}, {loaders}"] = one
            print(f"{part}, {loaders} loaders: {json.dumps(one)}", flush=True)
    if told.output:
        told.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
