"""The light part's images, as a recipe describes them: clean, real and held out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from magenet_batch.degradation import preset
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.randomness import generator
from magenet_batch.training.data.config import AugmentConfig
from magenet_batch.training.data.images import TrainingImages, load_training_images
from magenet_batch.training.part import PhaseOfRun
from magenet_batch.training.recipes.schema import RestorationRecipe
from magenet_batch.training.restoration.cameras import CameraVariety
from magenet_batch.training.restoration.pairs import (
    DrawnPairs,
    KeptPairs,
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
    recipe: RestorationRecipe, network: Restorer, *, run: PhaseOfRun, device: torch.device
) -> LightSources | None:
    """Load the light part's images, and make whole images if the stage uses their statistics.

    Returns:
        The images; None after a stop.
    """
    stage, data, config = network.light, recipe.data, recipe.light
    assert stage is not None
    told = stage.config.statistics
    full = max(config.working_sizes) if told else _SOURCE * stage.size
    exclude = (*data.exclude, *data.unevenly_lit)
    data = data.model_copy(update={"size": full, "exclude": exclude})
    photos = repeated(load_training_images(data, data.clean), config.repeat)
    sets = [_clean_views(recipe, photos, texture=0.0 if told else config.texture)]
    if config.consistency > 0 and data.real:
        sets.append(_real_views(recipe, load_training_images(data, data.real, skip_bad=True)))
    standardised = network.sense.standardised
    sources: list[PairSource] = []
    for name, views, count in zip(("clean", "real"), sets, config.whole_images, strict=False):
        if not told:
            sources.append(DrawnPairs(views.to(device), stage.size))
            continue
        images = gather_whole_images(
            _maker(recipe, name, views, stage.size), _folder(run) / name, count=count, run=run
        )
        if images is None:
            return None
        sources.append(KeptPairs(
            images.to(device), standardised, silenced=config.silenced, silent=config.silent,
            noise=config.statistics_noise,
        ))  # fmt: skip
    held = tuple(
        (folder, _held(recipe, folder, stage.size, standardised if told else None, device))
        for folder in data.validation
    )
    return LightSources(sources[0], sources[1] if len(sources) > 1 else None, held)


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


def _maker(
    recipe: RestorationRecipe, name: str, views: Views, size: int
) -> Callable[[int], WholeImages]:
    sizes = recipe.light.working_sizes

    def make(number: int) -> WholeImages:
        rng = generator(recipe.run.seed, f"whole {name}", number)
        return views.whole(rng, full=sizes[rng.integers(len(sizes))], size=size)

    return make


def _clean_views(recipe: RestorationRecipe, photos: TrainingImages, *, texture: float) -> Views:
    config = recipe.light
    coloured = recipe.augment.model_copy(update={
        "gain": config.gain, "gamma": config.gamma, "saturation": config.saturation,
        "colour_share": config.camera_share,
    })  # fmt: skip
    variety = CameraVariety(
        coloured, patches=config.patches, vignette=config.vignette, texture=texture
    )
    return Views(photos, variety, drawing(preset(config.preset), veils=True))


def _real_views(recipe: RestorationRecipe, photos: TrainingImages) -> Views:
    as_taken = CameraVariety(recipe.augment.model_copy(update={"colour_share": 0.0}))
    weak, strong = (drawing(preset(name)) for name in ("weak_view", "strong_view"))
    return Views(photos, as_taken, seen=strong, wanted=weak)


def _held(
    recipe: RestorationRecipe,
    folder: str,
    size: int,
    standardised: Callable[[torch.Tensor], torch.Tensor] | None,
    device: torch.device,
) -> LightPairs:
    """Validation pairs of a folder, from photographs as they are and degraded copies."""
    validation = recipe.validation
    full = size if standardised is None else _HELD_SIZE
    data = recipe.data.model_copy(update={"size": full, "limit": validation.images})
    photos = load_training_images(data, (folder,), skip_bad=True)
    views = Views(photos, CameraVariety(_STILL), drawing(preset(validation.preset)))
    rng = generator(recipe.run.seed, f"validation {folder}", 0)
    if standardised is None:
        return DrawnPairs(views.to(device), size).pairs(rng, validation.images)
    made = [views.whole(rng, full=full, size=size) for _ in range(validation.images)]
    return KeptPairs(joined(made).to(device), standardised).all()
