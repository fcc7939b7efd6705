"""From a recipe to weights with a card; gives each component its own configuration."""

from __future__ import annotations

import contextlib
import shutil
import sys
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
from magenet_batch.training.config import PARTS
from magenet_batch.training.curves import CURVES
from magenet_batch.training.estimate import phases_of
from magenet_batch.training.group import Group
from magenet_batch.training.part import checkpoint_path
from magenet_batch.training.progress import make_reporter
from magenet_batch.training.ray_processes import train_in_processes
from magenet_batch.training.recipes.schema import AffineRecipe, Recipe, RestorationRecipe
from magenet_batch.training.restoration.gathering import MOMENTS
from magenet_batch.training.restoration.moments import SENSE
from magenet_batch.training.restoration.run import RestorationRun
from magenet_batch.training.restoration.scatter import SCATTER
from magenet_batch.training.restoration.tone import TONE
from magenet_batch.training.restoration.whole import WHOLE_FOLDER
from magenet_batch.training.results import RESULTS
from magenet_batch.training.trainer import CHECKPOINT, STRUCTURE_FILE, Start, Trainer

_STOPPING = "Saving after this step. Press Ctrl-C again to stop immediately."
_RESUMES = "stopped: the same command resumes"
_OF_A_RUN = (
    CHECKPOINT, STRUCTURE_FILE, CURVES, RESULTS,
    *(f"{part}.safetensors" for part in (SENSE, TONE, SCATTER)),
    *(f"{part}/{CURVES}" for part in PARTS),
    *(checkpoint_path(Path(), phase).name for phase in (*PARTS, MOMENTS)),
)  # fmt: skip
"""Files of an earlier run that `--fresh` removes."""


def train(recipe: Recipe, *, fresh: bool = False, stop_after: float = 0.0) -> int:
    """Start or resume a training run; write weights and card when it is done.

    Args:
        recipe: what to train.
        stop_after: minutes after which to save a checkpoint and stop; 0 for no limit.
        fresh: remove checkpoint, structure module and curves of an earlier run first.

    Returns:
        The exit code: 0 when done, 130 when interrupted.

    Raises:
        MissingExtraError: packages for training are not installed.
    """
    require_extra("train", modules=("tensorboard",), purpose="training")
    folder = Path(recipe.run.output)
    if fresh:
        for name in _OF_A_RUN:
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / WHOLE_FOLDER, ignore_errors=True)
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
    done = all(phase.share >= 1 for phase in phases_of(recipe))
    return EXIT_DONE if done else EXIT_INTERRUPTED


def train_parts(recipe: RestorationRecipe, *, stop_after: float = 0.0) -> int:
    """Train a restoring network part by part; write its weights when all parts are done.

    Args:
        recipe: what to train.
        stop_after: minutes after which to save a checkpoint and stop; 0 for no limit.

    Returns:
        The exit code: 0 when done, 130 when interrupted.
    """
    stop = Stop(after=60 * stop_after)
    reporter = make_reporter()
    reporter.planned(phases_of(recipe))
    run = RestorationRun(recipe, reporter=reporter, stopped=stop.is_set)
    with contextlib.closing(reporter), two_stage_stop(stop, say=reporter.note, text=_STOPPING):
        done = run.run()
    if not done:
        print(_RESUMES, file=sys.stderr)
        return EXIT_INTERRUPTED
    if run.complete:
        notes = restoration_notes(recipe, run.progress, folder=run.folder, device=run.device)
        _write(run.network, notes, folder=run.folder, name=recipe.run.name)
    return EXIT_DONE


def train_in_process(group: Group, recipe: AffineRecipe, *, stop_after: float = 0.0) -> int:
    """Train in one process of a group; the leader writes weights and card.

    Args:
        group: this process among those that train together.
        recipe: what to train.
        stop_after: minutes after which to save a checkpoint and stop; 0 for no limit.

    Returns:
        The exit code: 0 when done, 130 when interrupted.
    """
    stop = Stop(after=60 * stop_after)
    reporter = make_reporter()
    reporter.planned(phases_of(recipe))
    trainer = Trainer(recipe, reporter=reporter, group=group, stop=stop, start=start_of(recipe))
    with contextlib.ExitStack() as frame:
        frame.enter_context(contextlib.closing(reporter))
        if group.size == 1:  # otherwise the parent process handles signals
            frame.enter_context(two_stage_stop(stop, say=reporter.note, text=_STOPPING))
        done = trainer.run()
    if not done:
        print(_RESUMES, file=sys.stderr)
        return EXIT_INTERRUPTED
    if group.leads:
        _finish(trainer)
    return EXIT_DONE


def start_of(recipe: AffineRecipe) -> Start | None:
    """The network to start from; None for a new one.

    Raises:
        TrainingError: `start.weights` hold a network of another kind.
    """
    if not recipe.start.weights:
        return None
    loaded, info = load_weights(recipe.start.weights)
    if isinstance(loaded, Restorer):
        raise TrainingError(
            f"start.weights = '{recipe.start.weights}' hold a network that is trained part by "
            f"part, not one of architecture '{recipe.model.architecture}': name other weights"
        )
    steps, hours = (info.notes.get(key, "?") for key in ("steps", "hours"))
    said = f"{info.name} {info.hash} ({steps} steps, hours {hours})"
    return Start(_with_parts_of(recipe.model, loaded), said)


def _with_parts_of(wanted: MageNetConfig, start: TransformNetwork) -> TransformNetwork:
    """The network to start from, extended by parts that the recipe has and older weights lack.

    Such a part initially changes nothing.
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


def _finish(trainer: Trainer) -> None:
    """Write the teacher's weights and a card next to the curves."""
    recipe = trainer.recipe
    notes = card_notes(
        recipe, trainer.progress, begun_from=trainer.begun_from, folder=trainer.folder,
        device=trainer.device,
    )  # fmt: skip
    _write(trainer.teacher, notes, folder=trainer.folder, name=recipe.run.name)


def _write(network: Network, notes: dict[str, str], *, folder: Path, name: str) -> None:
    path = folder / f"{name}.safetensors"
    save_weights(network, path, name=name, notes=notes)
    card = write_card(path.with_suffix(".md"), notes, name=name, network=network)
    print(f"weights: {path}\ncard:    {card}")
    print(f"use them: magenet enhance ARCHIVE --weights {path}", file=sys.stderr)
