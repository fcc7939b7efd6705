"""From a recipe to weights with a card: hands each component its own configuration."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from magenet_batch.errors import EXIT_DONE, EXIT_INTERRUPTED, TrainingError, require_extra
from magenet_batch.models.build import Network, TransformNetwork, build_network
from magenet_batch.models.config import MageNetConfig
from magenet_batch.models.device import pick_device
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.weights import load_weights, save_weights
from magenet_batch.stop import Stop, two_stage_stop
from magenet_batch.storage import write_atomic
from magenet_batch.training.card import card_notes, restoration_notes, write_card
from magenet_batch.training.group import Group
from magenet_batch.training.progress import Reporter
from magenet_batch.training.ray_processes import train_in_processes
from magenet_batch.training.recipes.load import fingerprint
from magenet_batch.training.recipes.schema import AffineRecipe, Recipe, RestorationRecipe
from magenet_batch.training.restoration.run import RestorationRun
from magenet_batch.training.trainer import Settings, Trainer

_STOPPING = "finishing this step, then saving; once more to stop at once"
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

    Raises:
        MissingExtraError: what training needs is not installed.
    """
    require_extra("train", modules=("tensorboard",), purpose="training")
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
    run = RestorationRun(recipe, reporter=Reporter(), stopped=stop.is_set)
    with two_stage_stop(stop, say=_say, text=_STOPPING):
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
    stop = Stop(after=60 * stop_after)
    trainer = Trainer(settings_of(recipe), reporter=Reporter(), group=group, stop=stop)
    alone = group.size == 1  # otherwise the process that started the others handles signals
    with two_stage_stop(stop, say=_say, text=_STOPPING) if alone else nullcontext():
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


def _say(text: str) -> None:
    print(text, file=sys.stderr)
