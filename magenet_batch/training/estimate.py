"""Preview of a run: the images that it would read, and the time that it would take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from magenet_batch.duration import duration
from magenet_batch.errors import TrainingError, UsageError
from magenet_batch.training.checkpoint import Progress, read_progress
from magenet_batch.training.config import PARTS
from magenet_batch.training.data.config import DataConfig
from magenet_batch.training.data.images import (
    PHANTOM,
    SHARPEST,
    image_paths,
    phantom_seeds,
    share_of,
)
from magenet_batch.training.part import checkpoint_path
from magenet_batch.training.phases import Phase, Phases
from magenet_batch.training.progress import NETWORK
from magenet_batch.training.recipes.load import fingerprint
from magenet_batch.training.recipes.schema import AffineRecipe, Recipe, RestorationRecipe
from magenet_batch.training.restoration.gathering import MOMENTS
from magenet_batch.training.restoration.moments import SENSE
from magenet_batch.training.restoration.scatter import SCATTER
from magenet_batch.training.restoration.spots import SPOTS
from magenet_batch.training.restoration.tone import TONE
from magenet_batch.training.restoration.whole import WHOLE
from magenet_batch.training.structure import STRUCTURE
from magenet_batch.training.trainer import CHECKPOINT, STRUCTURE_FILE

_NEEDED = ("vessels", "clean")
"""Keys of `data` that training cannot do without."""


@dataclass(frozen=True)
class FolderCount:
    """Number of images in a folder of a recipe.

    Attributes:
        key: key of `data` that names the folder.
        folder: the folder as written in the recipe.
        images: number of images that would be used.
    """

    key: str
    folder: str
    images: int


def count_images(data: DataConfig, keys: Sequence[str]) -> list[FolderCount]:
    """Count the images of every folder that a run reads, without opening them.

    Args:
        data: the folders.
        keys: keys that the run reads, of `vessels`, `clean`, `real` and `validation`.

    Raises:
        UsageError: folders are missing or empty; the message names all of them.
    """
    counts: list[FolderCount] = []
    missing: list[str] = []
    named = [(key, folder) for key in keys for folder in getattr(data, key)]
    on_disk = any(not folder.startswith((PHANTOM, SHARPEST)) for _, folder in named)
    if on_disk and not Path(data.root).is_dir():
        named = []
        missing.append(f"no folder {data.root}")
    for key, folder in named:
        try:
            counts.append(FolderCount(key, folder, _count(data, folder, vessels=key == "vessels")))
        except TrainingError as error:
            missing.append(str(error).partition(": say where")[0])
    missing += [
        f"the recipe has no folder for data.{key}"
        for key in keys
        if key in _NEEDED and not getattr(data, key)
    ]
    if missing:
        raise UsageError(
            f"data are missing: {'; '.join(missing)}. Set their location with "
            "--set data.root=FOLDER; docs/data.md describes the layout"
        )
    return counts


def _count(data: DataConfig, folder: str, *, vessels: bool) -> int:
    if folder.startswith(PHANTOM):
        return len(phantom_seeds(folder))
    if folder.startswith(SHARPEST):
        share = share_of(folder)
        if not data.real:
            raise TrainingError(f"'{folder}' selects from data.real, which is empty")
        return max(1, round(share * sum(_count(data, f, vessels=False) for f in data.real)))
    return len(image_paths(data, folder, with_vessels=vessels))


def phases_of(recipe: Recipe) -> list[Phase]:
    """The phases of a run, with the progress stored in its folder.

    Raises:
        TrainingError: a checkpoint is damaged or belongs to another recipe.
    """
    if isinstance(recipe, AffineRecipe):
        return list(_phases_of_affine(recipe))
    return list(_phases_of_parts(recipe))


def _phases_of_affine(recipe: AffineRecipe) -> Iterator[Phase]:
    folder, schedule = Path(recipe.run.output), recipe.schedule
    if recipe.model.structure:
        given = bool(recipe.structure.weights or recipe.start.weights)
        yield _structure(recipe, done=given or (folder / STRUCTURE_FILE).is_file())
    found = _progress(folder / CHECKPOINT, recipe=fingerprint(recipe))
    yield Phase(NETWORK, schedule.steps, schedule.minutes, found.step, found.seconds)


def _phases_of_parts(recipe: RestorationRecipe) -> Iterator[Phase]:
    folder, wanted = Path(recipe.run.output), recipe.run.parts or PARTS
    if recipe.model.structure is not None and STRUCTURE in wanted:
        there = (folder / STRUCTURE_FILE).is_file()
        yield _structure(recipe, done=there or bool(recipe.structure.weights))
    if SENSE in wanted:
        done = (folder / f"{SENSE}.safetensors").is_file()
        found = _part_progress(recipe, SENSE)
        yield _part(recipe, MOMENTS, recipe.sense.samples, done=done or found.step > 0)
        yield _part(recipe, SENSE, recipe.sense.steps, done=done)
    for name, config, network in (
        ("sensor", recipe.sensor, recipe.model.sensor),
        (SPOTS, recipe.spots, recipe.model.spots),
        ("light", recipe.light, recipe.model.light),
    ):
        if name not in wanted or network is None:
            continue
        yield _part(recipe, name, config.steps, config.minutes)
    light = recipe.model.light
    if TONE in wanted and light is not None and light.cameras:
        done = (folder / f"{TONE}.safetensors").is_file()
        begun = _part_progress(recipe, TONE).step > 0
        yield _part(recipe, WHOLE, recipe.tone.samples, done=done or begun)
        yield _part(recipe, TONE, recipe.tone.steps, done=done)
    if SCATTER in wanted and recipe.model.scatter and recipe.model.structure:
        yield _part(recipe, SCATTER, 1, 1.0, done=(folder / f"{SCATTER}.safetensors").is_file())


def _structure(recipe: Recipe, *, done: bool) -> Phase:
    return _part(recipe, STRUCTURE, recipe.structure.steps, recipe.structure.minutes, done=done)


def _part(
    recipe: Recipe, name: str, steps: int, minutes: float = 0.0, *, done: bool = False
) -> Phase:
    found = Progress() if done else _part_progress(recipe, name)
    return Phase(name, steps, minutes, found.step, found.seconds, done)


def _part_progress(recipe: Recipe, name: str) -> Progress:
    path = checkpoint_path(Path(recipe.run.output), name)
    return _progress(path, recipe=f"{fingerprint(recipe)}-{name}")


def _progress(path: Path, *, recipe: str) -> Progress:
    return read_progress(path, recipe=recipe) if path.is_file() else Progress()


def outlook(recipe: Recipe) -> str:
    """Describe which images a run reads and how long it takes.

    Times are maxima, from the minutes in the recipe or from the measured speed of a started run.

    Raises:
        UsageError: data are missing.
    """
    phases = phases_of(recipe)
    counts = count_images(recipe.data, tuple(_keys_read(recipe, phases)))
    lines = [f"images below {recipe.data.root}:"]
    lines += [f"  {c.key:<10} {c.folder:<24} {c.images:>6}" for c in counts]
    lines += ["phases:", *(f"  {p.name:<10} {_length(p)}" for p in phases)]
    all_of_it = Phases(phases)
    known, unknown = all_of_it.seconds_left, all_of_it.unknown
    if not unknown:
        return "\n".join([*lines, f"time: {duration(known)} at most"])
    said = f"; the others: {duration(known)} at most" if known else ""
    lines.append(f"time: unknown for {', '.join(unknown)} (no minutes in the recipe){said}")
    return "\n".join(lines)


def _keys_read(recipe: Recipe, phases: list[Phase]) -> Iterator[str]:
    """Keys of `data` whose folders are read by a run with these phases."""
    names = {phase.name for phase in phases}
    chosen = [folder for folder in recipe.data.clean if folder.startswith(SHARPEST)]
    if chosen and names & {MOMENTS, "sensor"}:
        raise UsageError(
            f"data.clean: '{chosen[0]}' is for 'affine' and 'unet'; the sensor part of "
            "'magenet' needs folders of sharp photographs"
        )
    if any(phase.name == STRUCTURE and not phase.done for phase in phases):
        yield "vessels"
    if names - {STRUCTURE}:
        yield "clean"
    if isinstance(recipe, AffineRecipe):
        agreement = recipe.consistency.weight
    else:
        agreement = recipe.light.consistency
    if chosen or (agreement > 0 and names & {"light", NETWORK}):
        yield "real"
    if names & {"sensor", "light", TONE, NETWORK}:
        yield "validation"


def _length(phase: Phase) -> str:
    if phase.share >= 1:
        return "done"
    steps = f"{phase.steps} steps" + (f", {phase.step} done" if phase.step else "")
    left = phase.seconds_left
    limit = f", {phase.minutes:g} minutes at most" if phase.minutes else ""
    known = f", {duration(left)} left" if left is not None and phase.step else ""
    return steps + limit + known
