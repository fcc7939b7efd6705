"""The images of the light and tone parts, as a recipe describes them: clean, real, held out."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch

from magenet_batch.degradation import DegradationParams, preset
from magenet_batch.degradation.kinds.blur import Blur
from magenet_batch.degradation.kinds.jpeg import Jpeg
from magenet_batch.degradation.kinds.noise import Noise
from magenet_batch.degradation.kinds.spots import Spots
from magenet_batch.models.restoration.light import LightStage
from magenet_batch.randomness import generator
from magenet_batch.training.data.config import AugmentConfig, DataConfig
from magenet_batch.training.data.images import TrainingImages, load_training_images
from magenet_batch.training.part import PhaseOfRun
from magenet_batch.training.recipes.schema import RestorationRecipe
from magenet_batch.training.restoration.cameras import CameraVariety
from magenet_batch.training.restoration.pairs import (
    Drawing,
    DrawnPairs,
    LightPairs,
    PairSource,
    Views,
    drawing,
)
from magenet_batch.training.restoration.whole import (
    WHOLE_FOLDER,
    WholeImages,
    gather_whole_images,
    joined,
)

_SOURCE = 2  # side of the squares in memory, relative to the light stage's input
_HELD_SIZE = 512  # working size of validation images, pixels
_SENSOR_KINDS = (Blur, Noise, Jpeg, Spots)
_STILL = AugmentConfig(rotate=0, zoom=(1, 1), shift=0, colour_share=0)


@dataclass(frozen=True)
class LightSources:
    """Images of the light part.

    Attributes:
        clean: pairs of degraded and clean images.
        real: pairs of strong and weak views of photographs in bad light; None if there are none.
        held: validation pairs by folder.
    """

    clean: PairSource
    real: PairSource | None
    held: tuple[tuple[str, LightPairs], ...]


def light_sources(
    recipe: RestorationRecipe, stage: LightStage, device: torch.device
) -> LightSources:
    """Load the light part's images."""
    config = recipe.light
    drawn_on = torch.device("cpu") if recipe.run.loaders else device
    data = _even_data(recipe, size=_SOURCE * stage.size)
    views = _clean_views(recipe, data, preset_name=config.preset, texture=config.texture)
    real: PairSource | None = None
    if config.consistency > 0 and data.real:
        photos = load_training_images(data, data.real, skip_bad=True)
        real = DrawnPairs(_real_views(recipe, photos).to(drawn_on), stage.size)
    held = tuple((folder, _held(recipe, folder, stage.size, device)) for folder in data.validation)
    return LightSources(DrawnPairs(views.to(drawn_on), stage.size), real, held)


def even_photographs(recipe: RestorationRecipe, *, size: int) -> TrainingImages:
    """Load the clean photographs in even light as squares of `size` pixels."""
    data = _even_data(recipe, size=size)
    return load_training_images(data, data.clean)


def tone_images(
    recipe: RestorationRecipe, *, size: int, run: PhaseOfRun
) -> tuple[WholeImages, dict[str, WholeImages]] | None:
    """Make the tone part's images, or read those that were made before a stop.

    Args:
        recipe: recipe of the run.
        size: side of the light stage's input, pixels.
        run: folder of the images, and when to stop.

    Returns:
        The images; and those of each validation folder. None after a stop.
    """
    config = recipe.tone
    data = _even_data(recipe, size=max(config.working_sizes))
    views = _clean_views(recipe, data, preset_name=config.preset, texture=0.0)

    def make(number: int) -> WholeImages:
        rng = generator(recipe.run.seed, "whole images", number)
        seen = views.seen if rng.random() >= config.sensor_only else of_the_sensor(views.seen)
        full = config.working_sizes[rng.integers(len(config.working_sizes))]
        return replace(views, seen=seen).whole(rng, full=full, size=size)

    images = gather_whole_images(make, _folder(run), count=config.samples, run=run)
    if images is None:
        return None
    return images, {folder: _held_whole(recipe, folder, size) for folder in data.validation}


def forget_whole_images(run: PhaseOfRun) -> None:
    """Delete the images that were kept for a resume."""
    shutil.rmtree(_folder(run).parent, ignore_errors=True)


def repeated(photos: TrainingImages, times: dict[str, int]) -> TrainingImages:
    """Repeat the images of some folders, so that small sets are drawn as often as large ones."""
    chosen = [
        index
        for index, name in enumerate(photos.names)
        for _ in range(times.get(name.rsplit("/", 1)[0], 1))
    ]
    at = torch.tensor(chosen)
    return replace(
        photos, images=photos.images[at], masks=photos.masks[at],
        names=tuple(photos.names[i] for i in chosen),
    )  # fmt: skip


def _folder(run: PhaseOfRun) -> Path:
    return run.folder / WHOLE_FOLDER / run.fingerprint


def _even_data(recipe: RestorationRecipe, *, size: int) -> DataConfig:
    """The recipe's data without photographs in uneven light, as squares of `size` pixels."""
    data = recipe.data
    return data.model_copy(update={"size": size, "exclude": (*data.exclude, *data.unevenly_lit)})


def _clean_views(
    recipe: RestorationRecipe, data: DataConfig, *, preset_name: str, texture: float
) -> Views:
    config = recipe.light
    photos = repeated(load_training_images(data, data.clean), config.repeat)
    coloured = recipe.augment.model_copy(update={
        "gain": config.gain, "gamma": config.gamma, "saturation": config.saturation,
        "colour_share": config.camera_share,
    })  # fmt: skip
    variety = CameraVariety(
        coloured, patches=config.patches, vignette=config.vignette, texture=texture
    )
    return Views(photos, variety, drawing(preset(preset_name), veils=True))


def _real_views(recipe: RestorationRecipe, photos: TrainingImages) -> Views:
    as_taken = CameraVariety(recipe.augment.model_copy(update={"colour_share": 0.0}))
    weak, strong = (drawing(preset(name)) for name in ("weak_view", "strong_view"))
    return Views(photos, as_taken, seen=strong, wanted=weak)


def of_the_sensor(drawn: Drawing) -> Drawing:
    """Draw the same, without faults of light and colour."""
    kept = [f.name for kind in _SENSOR_KINDS for f in fields(kind)]

    def draw(rng: np.random.Generator) -> DegradationParams:
        params = drawn(rng)
        return DegradationParams(**{name: getattr(params, name) for name in kept})

    return draw


def _held_views(recipe: RestorationRecipe, folder: str, size: int) -> Views:
    validation = recipe.validation
    data = recipe.data.model_copy(update={"size": size, "limit": validation.images})
    photos = load_training_images(data, (folder,), skip_bad=True)
    return Views(photos, CameraVariety(_STILL), drawing(preset(validation.preset)))


def _held(recipe: RestorationRecipe, folder: str, size: int, device: torch.device) -> LightPairs:
    """Validation pairs of a folder, from photographs as they are and degraded copies."""
    views = _held_views(recipe, folder, size).to(device)
    rng = generator(recipe.run.seed, f"validation {folder}", 0)
    return DrawnPairs(views, size).pairs(rng, recipe.validation.images)


def _held_whole(recipe: RestorationRecipe, folder: str, size: int) -> WholeImages:
    """The same with statistics."""
    views = _held_views(recipe, folder, _HELD_SIZE)
    rng = generator(recipe.run.seed, f"validation {folder}", 0)
    count = recipe.validation.images
    return joined([views.whole(rng, full=_HELD_SIZE, size=size) for _ in range(count)])
