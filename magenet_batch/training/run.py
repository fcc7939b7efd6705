"""From a recipe to weights with a card: hands each component its own configuration."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Protocol

from magenet_batch.errors import EXIT_DONE, EXIT_INTERRUPTED, TrainingError
from magenet_batch.models.build import Network, TransformNetwork, build_network
from magenet_batch.models.config import MageNetConfig
from magenet_batch.models.device import pick_device
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.weights import load_weights, save_weights
from magenet_batch.storage import write_atomic
from magenet_batch.training.card import card_notes, restoration_notes, write_card
from magenet_batch.training.distributed import train_in_processes
from magenet_batch.training.group import Group
from magenet_batch.training.progress import Reporter
from magenet_batch.training.recipes.load import fingerprint
from magenet_batch.training.recipes.schema import AffineRecipe, Recipe, RestorationRecipe
from magenet_batch.training.restoration.run import RestorationRun
from magenet_batch.training.trainer import Settings, Trainer

_OF_A_RUN = (
    "checkpoint.safetensors", "structure.safetensors", "curves.jsonl", "sense.safetensors",
    "sensor.checkpoint.safetensors", "light.checkpoint.safetensors",
    "sensor/curves.jsonl", "light/curves.jsonl",
)  # fmt: skip
"""Files of an earlier run that --fresh removes."""


def train(recipe: Recipe, *, fresh: bool = False, stop_after: float = 0.0) -> int:
    """Run or resume a training run; write weights and card when it is done.

    Args:
        recipe: what to train.
        stop_after: minutes after which this call saves and ends, as if interrupted; 0 for never.
        fresh: forget checkpoint, structure module and curves of an earlier run.

    Returns:
        The exit code: 0 when done, 130 when interrupted.
    """
    folder = Path(recipe.run.output)
    if fresh:
        for name in _OF_A_RUN:
            (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "recipe.json", recipe.model_dump_json(indent=2).encode())
    if isinstance(recipe, RestorationRecipe):
        return train_parts(recipe, stop_after=stop_after)
    if recipe.run.processes == 1:
        return train_in_process(Group(), recipe, stop_after=stop_after)
    train_in_processes(
        partial(train_in_process, recipe=recipe, stop_after=stop_after),
        processes=recipe.run.processes,
        gpus=pick_device(recipe.run.device).type == "cuda", storage=folder / "ray",
    )  # fmt: skip
    return EXIT_DONE


def train_parts(recipe: RestorationRecipe, *, stop_after: float = 0.0) -> int:
    """Train a restoring network part by part; write its weights when all parts are done.

    Args:
        recipe: what to train.
        stop_after: minutes after which to save and end; 0 for never.

    Returns:
        The exit code: 0 when done, 130 when interrupted.
    """
    stop = Stop(after=60 * stop_after)
    run = RestorationRun(recipe, reporter=Reporter(), stopped=stop.asked)
    with interruptible(stop):
        done = run.run()
    if not done:
        print("stopped: the same command resumes", file=sys.stderr)
        return EXIT_INTERRUPTED
    if run.complete:
        notes = restoration_notes(recipe, run.progress, folder=run.folder, device=run.device)
        _write(run.network, notes, folder=run.folder, name=recipe.run.name)
    return EXIT_DONE


def train_in_process(group: Group, recipe: AffineRecipe, *, stop_after: float = 0.0) -> int:
    """The part of one process; the leader writes weights and card.

    Args:
        group: this process among those that train together.
        recipe: what to train.
        stop_after: minutes after which to save and end; 0 for never.

    Returns:
        The exit code: 0 when done, 130 when interrupted.
    """
    trainer = Trainer(settings_of(recipe), reporter=Reporter(), group=group)
    trainer.stop_at = time.monotonic() + 60 * stop_after if stop_after else math.inf
    with interruptible(trainer) if group.size == 1 else nullcontext():
        teacher = trainer.run()
    if trainer.share_done < 1:
        print(
            f"stopped at step {trainer.progress.step}; the same command goes on from there",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    if group.leads:
        _finish(trainer, teacher)
    return EXIT_DONE


def settings_of(recipe: AffineRecipe) -> Settings:
    """Hand each component its part of the recipe."""
    start: TransformNetwork | None = None
    model, begun_from = recipe.model, ""
    if recipe.start.weights:
        loaded, info = load_weights(recipe.start.weights)
        if isinstance(loaded, Restorer):
            raise TrainingError(
                f"start.weights = '{recipe.start.weights}' hold a network that is trained part by "
                f"part, not one of architecture '{recipe.model.architecture}': name other weights"
            )
        start = _with_parts_of(recipe.model, loaded)
        model = start.config
        steps, hours = (info.notes.get(key, "?") for key in ("steps", "hours"))
        begun_from = f"{info.name} {info.hash} ({steps} steps, hours {hours})"
    return Settings(
        run=recipe.run, data=recipe.data, augment=recipe.augment, preset=recipe.degradation.preset,
        model=model, structure=recipe.structure, loss=recipe.loss, consistency=recipe.consistency,
        schedule=recipe.schedule, validation=recipe.validation, fingerprint=fingerprint(recipe),
        start=start, begun_from=begun_from,
    )  # fmt: skip


def _with_parts_of(wanted: MageNetConfig, start: TransformNetwork) -> TransformNetwork:
    """The network to begin with, with what the recipe's has and older weights lack.

    Such a part changes nothing at first.
    """
    have = start.config
    lacks = {
        part: getattr(wanted, part) for part in ("statistics", "bands") if not getattr(have, part)
    }
    if not any(lacks.values()):
        return start
    grown = build_network(have.model_copy(update=lacks))
    grown.load_state_dict(start.state_dict(), strict=False)
    return grown


def _finish(trainer: Trainer, teacher: TransformNetwork) -> None:
    """Write the teacher's weights and a card beside the curves."""
    settings = trainer.settings
    notes = card_notes(settings, trainer.progress, folder=trainer.folder, device=trainer.device)
    _write(teacher, notes, folder=trainer.folder, name=settings.run.name)


def _write(network: Network, notes: dict[str, str], *, folder: Path, name: str) -> None:
    path = folder / f"{name}.safetensors"
    save_weights(network, path, name=name, notes=notes)
    card = write_card(path.with_suffix(".md"), notes, name=name, network=network)
    print(f"weights: {path}\ncard:    {card}")
    print(f"use them: magenet enhance ARCHIVE --weights {path}", file=sys.stderr)


class _Stoppable(Protocol):
    stop_asked: bool


class Stop:
    """Whether to save and end: asked for by a signal, or because time is up.

    Args:
        after: seconds from now; 0 for never.
    """

    def __init__(self, *, after: float = 0.0) -> None:
        self.stop_asked = False
        self._at = time.monotonic() + after if after else math.inf

    def asked(self) -> bool:
        """True from the moment on that a stop is due."""
        return self.stop_asked or time.monotonic() > self._at


@contextmanager
def interruptible(run: _Stoppable) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM saves a checkpoint and ends; the second ends at once."""

    def ask(number: int, frame: object) -> None:
        if run.stop_asked:
            raise KeyboardInterrupt
        run.stop_asked = True
        print("finishing this step, then saving; once more to stop at once", file=sys.stderr)

    before = {n: signal.signal(n, ask) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
