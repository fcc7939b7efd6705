"""The training of a restoring network, part by part, in the order of their dependencies.

Structure module, Sense, sensor stage and light stage have their own ground truth, so each has its
own training, with its own files in the run's folder; at the end they are joined.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path

import cv2
import torch
from safetensors.torch import load_file, load_model, save
from torch import nn

from magenet_batch.errors import TrainingError
from magenet_batch.models.device import pick_autocast, pick_device
from magenet_batch.models.memory import keep_freed_memory
from magenet_batch.models.restoration.cameras import KnownCameras
from magenet_batch.models.restoration.config import RestorationConfig
from magenet_batch.models.restoration.network import STRUCTURE_SIZE, Restorer
from magenet_batch.models.weights import load_weights
from magenet_batch.storage import write_atomic
from magenet_batch.training.config import PARTS
from magenet_batch.training.data.config import AugmentConfig
from magenet_batch.training.data.images import load_training_images
from magenet_batch.training.ema import Part
from magenet_batch.training.part import PartSchedule, PartTrainer, PhaseOfRun, checkpoint_path
from magenet_batch.training.progress import Reporter
from magenet_batch.training.recipes.load import fingerprint
from magenet_batch.training.recipes.schema import RestorationRecipe
from magenet_batch.training.restoration.config import (
    LightTrainingConfig,
    SensorTrainingConfig,
    SpotsTrainingConfig,
)
from magenet_batch.training.restoration.gathering import MOMENTS, gather_resumably
from magenet_batch.training.restoration.light import LightLessons, measure_light
from magenet_batch.training.restoration.moments import SENSE, fit_sense
from magenet_batch.training.restoration.scatter import SCATTER, fit_scatter
from magenet_batch.training.restoration.sensor import SensorLessons, SensorPart, measure_sensor
from magenet_batch.training.restoration.sources import (
    even_photographs,
    forget_whole_images,
    light_sources,
    spots_sources,
    tone_sources,
)
from magenet_batch.training.restoration.spots import SPOTS, SpotsLessons, measure_spots
from magenet_batch.training.restoration.tone import (
    TONE,
    fit_tone,
    tone_examples,
)
from magenet_batch.training.restoration.views import load_photographs
from magenet_batch.training.structure import STRUCTURE, train_structure

SENSOR = "sensor"
"""Name of this part and of its files."""
_CROPS_PER_IMAGE = 3  # crops per image with which the sensor part is validated


class RestorationRun:
    """Trains the parts that a recipe selects.

    Args:
        recipe: recipe of a restoring network.
        reporter: reports progress to the user.
        stopped: checked after every step; return True to save and stop.
    """

    def __init__(
        self, recipe: RestorationRecipe, *, reporter: Reporter, stopped: Callable[[], bool]
    ) -> None:
        self.recipe = recipe
        self.folder = Path(recipe.run.output)
        self.progress: dict[str, tuple[int, float]] = {}
        """Steps and seconds of the parts that were trained by steps."""
        if recipe.run.threads:
            torch.set_num_threads(recipe.run.threads)
            cv2.setNumThreads(recipe.run.threads)
        self.device = pick_device(recipe.run.device)
        if self.device.type == "cpu" or recipe.run.loaders:  # they inherit it
            keep_freed_memory()
        self._autocast = pick_autocast(recipe.run.precision, self.device)
        self._phase = PhaseOfRun(
            self.folder, fingerprint(recipe), recipe.validation.checkpoint_minutes, reporter,
            stopped,
        )  # fmt: skip
        torch.manual_seed(recipe.run.seed)
        self.network = Restorer(recipe.model)
        if recipe.start.weights:
            self.network = _begun(self.network, recipe.start.weights)
        self.network.to(self.device)

    def run(self) -> bool:
        """Train; returns True when every selected part is done."""
        wanted = self.recipe.run.parts or PARTS
        steps = {
            "structure": self._structure, "sense": self._sense,
            SENSOR: self._sensor, SPOTS: self._spots, "light": self._light, TONE: self._tone,
            SCATTER: self._scatter,
        }  # fmt: skip
        for part, step in steps.items():
            if not self._has(part):
                continue
            if part in wanted:
                if not step():
                    return False
            elif self._needed(part, wanted):
                self._read(part)
        return True

    @property
    def complete(self) -> bool:
        """Whether this call has trained or read every part, so that weights can be written."""
        return not self.recipe.run.parts

    def _has(self, part: str) -> bool:
        """Whether the network has this part."""
        if part == TONE:
            light = self.recipe.model.light
            return light is not None and light.cameras > 0
        return getattr(self.network, part) is not None

    def _needed(self, part: str, wanted: tuple[str, ...]) -> bool:
        """Whether a part that is not trained by this call must be read for one that is."""
        earlier = (STRUCTURE, SENSE, SENSOR, SPOTS, "light")
        told = part in earlier and TONE in wanted and self._has(TONE)
        guides = part == STRUCTURE and SCATTER in wanted and self._has(SCATTER)
        return told or guides or (part in (STRUCTURE, SENSE) and SENSOR in wanted)

    def _path(self, part: str) -> Path:
        given = self.recipe.structure.weights if part == "structure" else ""
        return Path(given) if given else self.folder / f"{part}.safetensors"

    def _read(self, part: str) -> None:
        module: nn.Module = getattr(self.network, part)
        if part == SENSOR:  # its training changes Sense too
            assert self.network.sensor is not None
            module = SensorPart(self.network.sense, self.network.sensor)
        path = self._path(part)
        if path.is_file():
            load_model(module, path)
        elif not self.recipe.start.weights:
            raise TrainingError(
                f"{path} does not exist yet: train it first with --set run.parts='[\"{part}\"]'"
            )
        if part == "structure":
            module.requires_grad_(False).eval()

    def _keep(self, part: str, tensors: dict[str, torch.Tensor] | None = None) -> None:
        if tensors is None:
            tensors = getattr(self.network, part).state_dict()
        contiguous = {key: value.contiguous() for key, value in tensors.items()}
        write_atomic(self._path(part), save(contiguous))

    def _structure(self) -> bool:
        module = self.network.structure
        assert module is not None
        path = self._path("structure")
        if self.recipe.structure.weights and not path.is_file():
            raise TrainingError(f"no structure module {path}: set structure.weights = ''")
        if not path.is_file():
            data, loaders = self.recipe.data, self.recipe.run.loaders
            photos = load_training_images(data, data.vessels, with_vessels=True)
            done = train_structure(
                module, photos if loaders else photos.to(self.device),
                config=self.recipe.structure, augment=AugmentConfig(), run=self._phase,
                seed=self.recipe.run.seed, autocast=self._autocast, device=self.device,
                loaders=loaders,
            )  # fmt: skip
            if not done:
                return False
            self._keep(STRUCTURE)
            checkpoint_path(self.folder, STRUCTURE).unlink(missing_ok=True)
        self._read(STRUCTURE)
        return True

    def _sense(self) -> bool:
        if self._path(SENSE).is_file():
            self._read(SENSE)
            return True
        config = self.recipe.sense
        lessons = cache(lambda: self._sensor_lessons(self.recipe.data.clean))
        moments = gather_resumably(
            lambda first: lessons().batches(MOMENTS, first=first), samples=config.samples,
            batch=self.recipe.sensor.batch, run=self._phase,
        )  # fmt: skip
        if moments is None:
            return False
        found = fit_sense(
            self.network.sense.cpu(), moments, config=config, run=self._phase,
            seed=self.recipe.run.seed,
        )  # fmt: skip
        self.network.sense.to(self.device)
        if found is None:
            return False
        self._keep(SENSE)
        for phase in (MOMENTS, SENSE):
            checkpoint_path(self.folder, phase).unlink(missing_ok=True)
        return True

    def _sensor_lessons(self, folders: tuple[str, ...]) -> SensorLessons:
        photographs = load_photographs(self.recipe.data, folders)
        return SensorLessons(
            photographs, self.network.structure, self.recipe.sensor,
            seed=self.recipe.run.seed, autocast=self._autocast, device=self.device,
            loaders=self.recipe.run.loaders,
        )  # fmt: skip

    def _sensor(self) -> bool:
        assert self.network.sensor is not None
        lessons = self._sensor_lessons(self.recipe.data.clean)
        folders = self.recipe.data.validation
        held = self._sensor_lessons(folders) if folders else None
        part = SensorPart(self.network.sense, self.network.sensor)
        crops = _CROPS_PER_IMAGE * self.recipe.validation.images
        batches = max(1, crops // self.recipe.sensor.batch)
        trainer = self._trainer(
            SENSOR, part, lessons.losses,
            (lambda p: measure_sensor(p, held, batches=batches)) if held else None,
            self.recipe.sensor,
        )  # fmt: skip
        with closing(lessons):
            done = trainer.run()
        part.load_state_dict(trainer.teacher.state_dict())
        self.progress[SENSOR] = (trainer.progress.step, trainer.progress.seconds)
        if done:
            self._keep(SENSOR, part.state_dict())
        return done

    def _spots(self) -> bool:
        stage = self.network.spots
        assert stage is not None
        sources = spots_sources(self.recipe, size=self.network.sizes[-1], device=self.device)
        lessons = SpotsLessons(
            sources.pairs, self.recipe.spots, seed=self.recipe.run.seed, device=self.device,
            loaders=self.recipe.run.loaders,
        )  # fmt: skip
        held = sources.held
        trainer = self._trainer(
            SPOTS, stage, lessons.losses,
            (lambda s: measure_spots(s, held)) if held else None, self.recipe.spots,
        )  # fmt: skip
        with closing(lessons):
            done = trainer.run()
        stage.load_state_dict(trainer.teacher.state_dict())
        self.progress[SPOTS] = (trainer.progress.step, trainer.progress.seconds)
        if done:
            self._keep(SPOTS)
        return done

    def _light(self) -> bool:
        stage = self.network.light
        assert stage is not None
        config = self.recipe.light
        sources = light_sources(self.recipe, stage, self.device)
        lessons = LightLessons(
            sources.clean, sources.real, config, seed=self.recipe.run.seed,
            autocast=self._autocast, device=self.device, loaders=self.recipe.run.loaders,
        )  # fmt: skip
        held = sources.held
        trainer = self._trainer(
            "light", stage, lessons.losses,
            (lambda s: measure_light(s, held)) if held else None, config,
        )  # fmt: skip
        with closing(lessons):
            done = trainer.run()
        stage.load_state_dict(trainer.teacher.state_dict())
        self.progress["light"] = (trainer.progress.step, trainer.progress.seconds)
        if done:
            self._keep("light")
        return done

    def _tone(self) -> bool:
        stage = self.network.light
        assert stage is not None
        assert stage.known is not None
        self.progress[TONE] = (self.recipe.tone.steps, 0.0)  # it takes seconds
        if self._path(TONE).is_file():
            stage.known.load_state_dict(load_file(self._path(TONE)))
            return True
        self.network.cpu().eval()
        stage.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        sources = tone_sources(self.recipe, self.network, run=self._phase)
        if sources is None:
            return False
        stage.known = KnownCameras.like(stage.known)
        stage.known.frames.copy_(sources.frames)
        done = True
        if sources.images is not None:
            done = fit_tone(
                stage.known, *tone_examples(stage, sources.images),
                {name: tone_examples(stage, some) for name, some in sources.held.items()},
                config=self.recipe.tone, run=self._phase, seed=self.recipe.run.seed,
            )  # fmt: skip
        known = int(stage.known.frames.flatten(1).any(1).sum())
        self._phase.reporter.note(
            f"tone: {known} cameras have {self.recipe.tone.least} clean photographs"
            + ("" if known else "; the tone of none will be told by its frame")
        )
        self.network.to(self.device)
        if done:
            self._keep(TONE, stage.known.state_dict())
            checkpoint_path(self.folder, TONE).unlink(missing_ok=True)
            forget_whole_images(self._phase)
        return done

    def _scatter(self) -> bool:
        if self._path(SCATTER).is_file():
            self._read(SCATTER)
            return True
        photos = even_photographs(self.recipe, size=STRUCTURE_SIZE)
        seen = fit_scatter(self.network, photos, device=self.device)
        self._phase.reporter.note(
            f"scatter: vessels are seen in {seen} of {len(photos)} clean photographs"
            + ("" if seen > 1 else "; this stage will change nothing")
        )
        self._keep(SCATTER)
        return True

    def _trainer(
        self,
        name: str,
        part: Part,
        losses: Callable[[Part, Part, int, float], dict[str, torch.Tensor]],
        validate: Callable[[Part], dict[str, float]] | None,
        config: SensorTrainingConfig | SpotsTrainingConfig | LightTrainingConfig,
    ) -> PartTrainer[Part]:
        run = self._phase
        schedule = PartSchedule(
            steps=config.steps, minutes=config.minutes, peak=config.learning_rate,
            final=config.final_learning_rate, ema=config.ema,
            validate_every=self.recipe.validation.every,
            checkpoint_minutes=run.checkpoint_minutes, fingerprint=run.fingerprint,
        )  # fmt: skip
        part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return PartTrainer(
            name, part, losses=losses, validate=validate, schedule=schedule, folder=run.folder,
            reporter=run.reporter, stopped=run.stopped,
        )  # fmt: skip


def _begun(network: Restorer, weights: str) -> Restorer:
    """Initialise a network with the weights to start from."""
    start, info = load_weights(weights)
    if not isinstance(start, Restorer) or not _fits(start.config, network.config):
        raise TrainingError(
            f"start.weights: {info.name} is another network than [model] describes: "
            "leave start.weights empty, or give [model] the same keys"
        )
    network.load_state_dict(network.state_dict() | start.state_dict())
    return network


def _fits(start: RestorationConfig, wanted: RestorationConfig) -> bool:
    """Whether they describe the same network; views, cameras, spots and scatter may be new."""
    for part in ("spots", "scatter"):
        if getattr(start, part) is None:
            start = start.model_copy(update={part: getattr(wanted, part)})
    if start.light is not None and wanted.light is not None:
        new: dict[str, object] = {"views": wanted.light.views}
        if not start.light.cameras:
            new["cameras"] = wanted.light.cameras
        start = start.model_copy(update={"light": start.light.model_copy(update=new)})
    return start == wanted
