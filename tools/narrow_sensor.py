"""Make the sensor stage of trained weights narrower, and teach it the answers of the wide one.

    python tools/narrow_sensor.py wide.safetensors narrow.safetensors --hidden 16 --summary 16

1. The heads are split into `sensor.summary` features and a matrix: the best of that rank for the
   gains that the wide stage tells on training crops, weighted by what each gain changes.
2. Of the channels inside the outermost blocks, `sensor.hidden` are kept: those from which least
   squares best predict the wide block's output. These least squares become the new weights.
3. The narrow stage is trained on the recipe's crops, and on crops that are only compressed and
   sharpened, until its answers are those of the wide one. Sense and all other parts stay.

A stopped run resumes from its folder, given by --folder. --report writes what was measured on
validation photographs, as JSON: shares of the variance that the closed forms keep; and, after them
and after training, the share of the wide stage's change that the narrow one makes too, and the
decibels that both gain.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.restoration.bands import BANDS, detail_bands
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.restoration.sense import Sense
from magenet_batch.models.restoration.sensor import SensorStage, ToldBlock
from magenet_batch.models.restoration.statistics import band_statistics
from magenet_batch.models.weights import load_weights, save_weights
from magenet_batch.randomness import generator
from magenet_batch.training.part import PartSchedule, PartTrainer
from magenet_batch.training.progress import Reporter
from magenet_batch.training.recipes.load import load_recipe
from magenet_batch.training.restoration.sensor import (
    SensorLessons,
    mean_square,
    steepness,
    with_vessels,
)
from magenet_batch.training.restoration.views import Crops, load_photographs

_LEAST = 1e-7  # squared error below which the narrow stage need not come nearer
_TAPS = 9  # of a 3x3 convolution
_RIDGE = 1e-6
_AREA = 5  # side in pixels of an area that must not fade
_SHARPEST, _SHARP_SIGMA = 1.5, (0.7, 2.0)  # amount of unsharp masks, and their width in pixels
_EVERY = 4  # steps, of which one has crops that are only compressed
_FIT = 12  # batches of crops for closed forms
_HELD = 12  # batches for validation


class Answers:
    """The wide stage, and what it sees.

    Args:
        sense: of the same weights.
        wide: the stage to imitate.
        lessons: crops, and their vessels.
        compressed: crops that are only compressed: every fourth step. They are sharpened there, as
            many cameras do.
        vessels: by how much more pixels at vessels count.
        seed: of the sharpening.
    """

    def __init__(
        self,
        sense: Sense,
        wide: SensorStage,
        lessons: SensorLessons,
        compressed: SensorLessons,
        *,
        vessels: float,
        seed: int,
    ) -> None:
        self.sense, self.wide, self.vessels, self.seed = sense, wide, vessels, seed
        self.lessons, self.compressed = lessons, compressed

    @torch.no_grad()
    def told(self, crops: Crops) -> tuple[dict[str, object], torch.Tensor]:
        """What a stage is given for these crops, and the wide stage's answer."""
        bands = detail_bands(crops.seen)
        guide = self.lessons.vessels(crops.seen, crops.side)
        assert guide is not None
        given = {
            "x_B3HW": crops.seen, "sensed": self.sense(band_statistics(bands, crops.inner)),
            "vessels_B1HW": torch.sigmoid(guide), "bands": bands,
        }  # fmt: skip
        return given, self.wide(**given)

    def losses(
        self, narrow: nn.Module, _: nn.Module, step: int, __: float
    ) -> dict[str, torch.Tensor]:
        """Logarithms of the squared difference to the wide stage's answer, of that of its slope,
        and of the worst areas.
        """
        turn, rest = divmod(step, _EVERY)
        if rest:
            crops = self.lessons.drawn(step - turn - 1)
        else:
            crops = self.compressed.drawn(turn)
            crops = replace(crops, seen=sharpened(crops.seen, generator(self.seed, "sharp", turn)))
        given, wanted = self.told(crops)
        found = narrow(**given)
        weight = with_vessels(crops.mask, given["vessels_B1HW"], more=self.vessels)
        losses = {
            "pixels": torch.log(mean_square(found - wanted, weight) + _LEAST).mean(),
            "difference": 0.5 * torch.log(steepness(found - wanted, weight) + _LEAST).mean(),
            "areas": 0.5 * torch.log(worst_areas(found - wanted, crops.mask) + _LEAST).mean(),
        }
        losses["total"] = torch.stack(list(losses.values())).sum()
        losses["explained"] = _explained(found, wanted, crops).mean()
        return losses

    @torch.no_grad()
    def measured(self, narrow: nn.Module) -> dict[str, float]:
        """Share of the wide stage's change that the narrow one makes too, and decibels gained."""
        numbers: dict[str, list[float]] = defaultdict(list)
        source, compressed = (
            each.batches("validation") for each in (self.lessons, self.compressed)
        )
        for _ in range(_HELD):
            crops = next(compressed)
            given, wide = self.told(crops)
            numbers["explained, compressed"] += _explained(narrow(**given), wide, crops).tolist()
            crops = next(source)
            given, wide = self.told(crops)
            found = narrow(**given)
            numbers["explained"] += _explained(found, wide, crops).tolist()
            own = mean_square(crops.seen - crops.wanted, crops.mask) + _LEAST
            for name, y in (("wide", wide), ("narrow", found)):
                left = mean_square(y - crops.wanted, crops.mask) + _LEAST
                numbers[name] += (10 * torch.log10(own / left)).tolist()
        return {name: sum(values) / len(values) for name, values in numbers.items()}


def _explained(found: torch.Tensor, wanted: torch.Tensor, crops: Crops) -> torch.Tensor:
    change = mean_square(wanted - crops.seen, crops.mask) + _LEAST
    return 1 - mean_square(found - wanted, crops.mask) / change


def sharpened(x_BCHW: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Unsharp masks of different strength, in 8 bits."""
    result = []
    for x in x_BCHW.permute(0, 2, 3, 1).numpy():
        amount, sigma = rng.uniform(0, _SHARPEST), rng.uniform(*_SHARP_SIGMA)
        soft = cv2.GaussianBlur(x, (13, 13), sigma)
        result.append(np.rint(np.clip(x + amount * (x - soft), 0, 1) * 255) / np.float32(255))
    return torch.from_numpy(np.stack(result)).permute(0, 3, 1, 2).contiguous()


def worst_areas(difference: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Root of the mean fourth power of the mean difference per area: large where one fails."""
    areas = F.avg_pool2d(difference * mask, _AREA, 2).square().mean(1)
    return areas.square().mean((1, 2)).sqrt()


def second_moments(answers: Answers, module: nn.Module, batches: list[Crops]) -> torch.Tensor:
    """Mean products of what this module of the wide stage sees, as `patches`."""
    moments: list[torch.Tensor] = []

    def heard(_: nn.Module, given: tuple[torch.Tensor]) -> None:
        f = patches(given[0])
        moments.append(f @ f.T / f.shape[1])

    handle = module.register_forward_pre_hook(heard)
    try:
        for crops in batches:
            answers.told(crops)
    finally:
        handle.remove()
    return torch.stack(moments).mean(0)


def patches(x_BCHW: torch.Tensor, *, every: int = 7) -> torch.Tensor:
    """3x3 neighbourhoods as columns, with a 1 below: (9 C + 1, N) in double precision."""
    columns = F.unfold(x_BCHW, 3, padding=1)[..., ::every]
    columns = columns.transpose(0, 1).flatten(1).double()
    return torch.cat([columns, torch.ones_like(columns[:1])])


def as_rows(conv: nn.Conv2d) -> torch.Tensor:
    """Weights and biases of a 3x3 convolution, for `patches`: (out, 9 C + 1)."""
    assert conv.bias is not None
    return torch.cat([conv.weight.flatten(1), conv.bias[:, None]], 1).double()


@torch.no_grad()
def split_heads(answers: Answers, narrow: SensorStage, batches: list[Crops]) -> float:
    """Give the narrow stage the heads of best rank; returns the share of their variance."""
    wide, summary = answers.wide, narrow.summary
    assert isinstance(summary, nn.Conv2d)
    second = second_moments(answers, wide.coarse, batches)
    squared = [detail_bands(crops.seen).stacked.square() for crops in batches]
    power = [x.unflatten(1, (BANDS, 3)).mean((0, 2, 3, 4)) for x in squared]
    size = torch.stack(power).mean(0).sqrt().double()  # of each band
    fine = len(wide.fine.weight) // 8
    weights = [size[:fine].repeat_interleave(8), size[fine:].repeat_interleave(2)]
    heads = [wide.fine, wide.coarse]
    if wide.residual is not None:
        heads.append(wide.residual)
        weights.append(torch.full((12,), wide.most, dtype=torch.double))
    rows, weight = torch.cat([as_rows(head) for head in heads]), torch.cat(weights)
    mean = second[:, -1:]
    spread = second - mean @ mean.T
    scaled = weight[:, None] * rows
    values, vectors = torch.linalg.eigh(scaled @ spread @ scaled.T)
    best = vectors[:, -len(summary.weight) :]
    inside = best.T @ scaled
    outside = best / weight[:, None]
    offset = rows @ mean - outside @ (inside @ mean)
    summary.weight.copy_(inside[:, :-1].view_as(summary.weight))
    summary.bias.copy_(inside[:, -1])
    first = 0
    for head in (narrow.fine, narrow.coarse, narrow.residual):
        if head is not None:
            n = len(head.weight)
            head.weight.copy_(outside[first : first + n].view_as(head.weight))
            head.bias.copy_(offset[first : first + n, 0])
            first += n
    return float(values[-len(summary.weight) :].sum() / values.sum())


@torch.no_grad()
def prune(answers: Answers, wide: ToldBlock, narrow: ToldBlock, batches: list[Crops]) -> float:
    """Keep the channels that predict the block's output; returns the share of its variance."""
    second = second_moments(answers, wide.second, batches)
    rows = as_rows(wide.second)
    channels, hidden = wide.first.out_channels, narrow.first.out_channels
    kept = [*range(channels)]
    error = 0.0
    solved = rows
    while len(kept) > hidden:
        tried = [(*_predicted(second, rows, [c for c in kept if c != drop]), drop) for drop in kept]
        error, solved, drop = min(tried, key=lambda t: t[0])
        kept.remove(drop)
    narrow.first.weight.copy_(wide.first.weight[kept])
    narrow.first.bias.copy_(wide.first.bias[kept])
    both = kept + [channels + c for c in kept]
    narrow.tell.weight.copy_(wide.tell.weight[both])
    narrow.tell.bias.copy_(wide.tell.bias[both])
    narrow.second.weight.copy_(solved[:, :-1].view_as(narrow.second.weight))
    narrow.second.bias.copy_(solved[:, -1])
    mean = rows @ second[:, -1]
    return 1 - error / float((rows @ second @ rows.T).diagonal().sum() - mean.square().sum())


def _predicted(
    second: torch.Tensor, rows: torch.Tensor, kept: list[int]
) -> tuple[float, torch.Tensor]:
    """Least squares of the output from some channels: squared error, and weights."""
    at = [c * _TAPS + t for c in kept for t in range(_TAPS)] + [len(second) - 1]
    own = second[at][:, at]
    ridge = _RIDGE * own.diagonal().mean() * torch.eye(len(at), dtype=own.dtype)
    solved = torch.linalg.solve(own + ridge, second[at] @ rows.T).T
    whole = torch.zeros_like(rows)
    whole[:, at] = solved
    left = rows - whole
    return float((left @ second @ left.T).diagonal().sum()), solved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights")
    parser.add_argument("output", type=Path)
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--hidden", type=int, required=True)
    parser.add_argument("--summary", type=int, required=True)
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--loaders", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("runs/narrow"))
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe)
    torch.set_num_threads(recipe.run.threads or torch.get_num_threads())
    torch.manual_seed(arguments.seed)
    wide, info = load_weights(arguments.weights)
    assert isinstance(wide, Restorer) and wide.sensor is not None and wide.config.sensor is not None
    changes = {"hidden": arguments.hidden, "summary": arguments.summary}
    config = wide.config.sensor.model_copy(update=changes)
    network = Restorer(wide.config.model_copy(update={"sensor": config}))
    narrow = network.sensor
    assert narrow is not None
    own = network.state_dict()
    taken = {k: v for k, v in wide.state_dict().items() if k in own and v.shape == own[k].shape}
    network.load_state_dict(own | taken)
    photographs = load_photographs(recipe.data, recipe.data.clean)
    make = partial(SensorLessons, structure=wide.structure, autocast=False, seed=arguments.seed)
    only = recipe.sensor.model_copy(update={"preset": f"{recipe.sensor.preset}:jpeg"})
    lessons = make(photographs, config=recipe.sensor, loaders=arguments.loaders)
    compressed = make(photographs, config=only, loaders=arguments.loaders)
    wide.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    answering = partial(
        Answers, wide.sense, wide.sensor, vessels=recipe.sensor.vessels, seed=arguments.seed
    )
    answers = answering(lessons, compressed)
    held = load_photographs(recipe.data, recipe.data.validation)
    validation = answering(make(held, config=recipe.sensor), make(held, config=only))
    source = lessons.batches("closed form")
    batches = [next(source) for _ in range(_FIT)]
    told: dict[str, object] = {"heads": split_heads(answers, narrow, batches)}
    blocks = {"encoder": (wide.sensor.encoders[0], narrow.encoders[0]),
              "decoder": (wide.sensor.decoders[0], narrow.decoders[0])}  # fmt: skip
    told |= {name: prune(answers, *both, batches) for name, both in blocks.items()}
    told["closed form"] = validation.measured(narrow)
    print(told, flush=True)
    schedule = PartSchedule(
        steps=10**6, minutes=arguments.minutes, peak=arguments.rate, final=2e-6, ema=0.995,
        validate_every=200, checkpoint_minutes=3.0,
        fingerprint=f"{info.hash}-{arguments.hidden}-{arguments.summary}",
    )  # fmt: skip
    arguments.folder.mkdir(parents=True, exist_ok=True)
    narrow.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainer = PartTrainer(
        "sensor", narrow, losses=answers.losses, validate=validation.measured, schedule=schedule,
        folder=arguments.folder, reporter=Reporter(), stopped=lambda: False,
    )  # fmt: skip
    with closing(lessons), closing(compressed):
        trainer.run()
    narrow.load_state_dict(trainer.teacher.state_dict())
    told["trained"] = validation.measured(narrow)
    print(told)
    if arguments.report is not None:
        arguments.report.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    how = f"{trainer.progress.step} steps, {trainer.progress.seconds / 3600:.2f} hours of one core"
    notes = info.notes | {"narrowed": f"from {info.hash}, {changes}: {how}"}
    save_weights(network, arguments.output, name=info.name, notes=notes)


if __name__ == "__main__":
    main()
