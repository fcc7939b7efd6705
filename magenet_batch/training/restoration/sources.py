"""The images of the light and tone parts, as a recipe describes them: clean, real, held out."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from magenet_batch.degradation import preset, sample_degradation
from magenet_batch.degradation.registry import KINDS
from magenet_batch.degradation.sample import Preset
from magenet_batch.models.restoration.cameras import ALIKE, framed, frames_among, likeness
from magenet_batch.models.restoration.light import LightStage
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.randomness import generator
from magenet_batch.training.data.config import AugmentConfig, DataConfig
from magenet_batch.training.data.images import TrainingImages, load_training_images
from magenet_batch.training.part import PhaseOfRun
from magenet_batch.training.recipes.schema import RestorationRecipe
from magenet_batch.training.restoration.cameras import CameraVariety, draw_photographs
from magenet_batch.training.restoration.config import ToneTrainingConfig
from magenet_batch.training.restoration.pairs import (
    DrawnPairs,
    LightPairs,
    PairSource,
    Views,
    drawing,
)
from magenet_batch.training.restoration.spots import SpottedPairs
from magenet_batch.training.restoration.whole import (
    WHOLE_FOLDER,
    WholeImages,
    gather_whole_images,
    joined,
    whole_image,
)

_SOURCE = 2  # side of the squares in memory, relative to the light stage's input
_INSIDE = 0.98  # share of a small pixel that must lie inside the field of view
_HELD_SIZE = 512  # working size of validation images, and of those that show frames, pixels
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


@dataclass(frozen=True)
class SpotsSources:
    """Images of the spots part.

    Attributes:
        pairs: images with and without spots.
        held: validation pairs by folder.
    """

    pairs: PairSource
    held: tuple[tuple[str, LightPairs], ...]


def spots_sources(recipe: RestorationRecipe, *, size: int, device: torch.device) -> SpotsSources:
    """Load the spots part's images: those of the light part.

    Args:
        recipe: recipe of the run.
        size: side of the images that the stage sees, pixels.
        device: where the stage is trained.
    """
    light, spots = recipe.light, recipe.spots
    drawn_on = torch.device("cpu") if recipe.run.loaders else device
    data = _even_data(recipe, size=_SOURCE * size)
    views = _clean_views(recipe, data, preset_name=light.preset, texture=light.texture)
    pairs = SpottedPairs(views.to(drawn_on), size, lit=spots.lit, spotted=spots.spotted)
    count = recipe.validation.images
    held = []
    for folder in data.validation:
        own = SpottedPairs(_held_views(recipe, folder, size).to(device), size, lit=0.0, spotted=1.0)
        rng = generator(recipe.run.seed, f"validation spots {folder}", 0)
        held.append((folder, own.pairs(rng, count)))
    return SpotsSources(pairs, tuple(held))


def even_photographs(recipe: RestorationRecipe, *, size: int) -> TrainingImages:
    """Load the clean photographs in even light as squares of `size` pixels."""
    data = _even_data(recipe, size=size)
    return load_training_images(data, data.clean)


@dataclass(frozen=True)
class ToneSources:
    """Images of the tone part.

    Attributes:
        frames: frames of the known cameras, (K, S, S) of 0 and 1.
        images: photographs of these cameras, degraded; None if no camera has enough.
        held: the same of each validation folder with photographs of these cameras.
    """

    frames: torch.Tensor
    images: WholeImages | None
    held: dict[str, WholeImages]


def tone_sources(
    recipe: RestorationRecipe, network: Restorer, *, run: PhaseOfRun
) -> ToneSources | None:
    """Make the tone part's images, or read those that were made before a stop.

    Args:
        recipe: recipe of the run.
        network: undoes what precedes the light stage.
        run: folder of the images, and when to stop.

    Returns:
        The images. None after a stop.
    """
    config, light = recipe.tone, recipe.model.light
    assert light is not None
    full = max(config.working_sizes)
    # Those that are no ground truth for light have their own tone too, seldom like the others'.
    data = recipe.data.model_copy(update={"size": full, "exclude": ()})
    small = load_training_images(data.model_copy(update={"size": _HELD_SIZE}), data.clean)
    frames, known = frames_among(
        frames_of(small, light.size), cameras=light.cameras, least=config.least
    )
    if not known.any():
        return ToneSources(frames, None, {})
    photos = load_training_images(data, data.clean).chosen(torch.nonzero(known)[:, 0])

    def make(number: int) -> WholeImages:
        rng = generator(recipe.run.seed, "whole images", number)
        return _whole(rng, network, photos, sizes=config.working_sizes, how=_drawn(rng, config))

    images = gather_whole_images(make, _folder(run), count=config.samples, run=run)
    if images is None:
        return None
    held: dict[str, WholeImages] = {}
    how = preset(recipe.validation.preset)
    for folder in data.validation:
        some = _held_photographs(recipe, folder, _HELD_SIZE)
        alike = likeness(frames_of(some, light.size), frames) >= ALIKE
        if alike.any():
            some = some.chosen(torch.nonzero(alike)[:, 0])
            rng = generator(recipe.run.seed, f"validation {folder}", 0)
            held[folder] = joined([
                _whole(rng, network, some, sizes=(_HELD_SIZE,), how=how)
                for _ in range(recipe.validation.images)
            ])  # fmt: skip
    return ToneSources(frames, images, held)


def frames_of(photos: TrainingImages, size: int) -> torch.Tensor:
    """Frames of photographs, (N, 1, S, S) of 0 and 1."""
    masks = F.interpolate(photos.masks.float(), size=(size, size), mode="area")
    return framed((masks > _INSIDE).float())


def _drawn(rng: np.random.Generator, config: ToneTrainingConfig) -> Preset:
    """Draw a preset, or one kind alone."""
    if rng.random() < config.single:
        return preset(config.single_of).only(KINDS[rng.integers(len(KINDS))])
    return preset(config.presets[rng.integers(len(config.presets))])


def _whole(
    rng: np.random.Generator,
    network: Restorer,
    photos: TrainingImages,
    *,
    sizes: tuple[int, ...],
    how: Preset,
) -> WholeImages:
    """Draw a photograph as it was taken, at one of several sizes, and degrade it."""
    size = sizes[rng.integers(len(sizes))]
    image, mask = draw_photographs(rng, photos, CameraVariety(_STILL), count=1, size=size)
    return whole_image(network, image[0], mask[0], sample_degradation(rng, how))


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
    return photos.chosen(torch.tensor(chosen))


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


def _held_photographs(recipe: RestorationRecipe, folder: str, size: int) -> TrainingImages:
    validation = recipe.validation
    data = recipe.data.model_copy(update={"size": size, "limit": validation.images})
    return load_training_images(data, (folder,), skip_bad=True)


def _held_views(recipe: RestorationRecipe, folder: str, size: int) -> Views:
    photos = _held_photographs(recipe, folder, size)
    return Views(photos, CameraVariety(_STILL), drawing(preset(recipe.validation.preset)))


def _held(recipe: RestorationRecipe, folder: str, size: int, device: torch.device) -> LightPairs:
    """Validation pairs of a folder, from photographs as they are and degraded copies."""
    views = _held_views(recipe, folder, size).to(device)
    rng = generator(recipe.run.seed, f"validation {folder}", 0)
    return DrawnPairs(views, size).pairs(rng, recipe.validation.images)
