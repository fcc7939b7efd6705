"""The training of a network as a whole, interruptible at any moment."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_model, save_file, save_model

from magenet_batch.degradation.sample import preset
from magenet_batch.errors import TrainingError, nearest
from magenet_batch.models.build import TransformNetwork, build_network
from magenet_batch.models.device import pick_autocast, pick_device
from magenet_batch.models.memory import keep_freed_memory
from magenet_batch.models.structure import StructureModule
from magenet_batch.randomness import generator
from magenet_batch.stop import Stop
from magenet_batch.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from magenet_batch.training.curves import Curves
from magenet_batch.training.data.batches import View, real_pairs, synthetic_pairs
from magenet_batch.training.data.images import TrainingImages, load_training_images
from magenet_batch.training.ema import make_teacher, update_teacher
from magenet_batch.training.group import Group
from magenet_batch.training.part import PhaseOfRun, checkpoint_path
from magenet_batch.training.progress import Reporter
from magenet_batch.training.recipes.load import fingerprint
from magenet_batch.training.recipes.schema import AffineRecipe
from magenet_batch.training.results import draw_results
from magenet_batch.training.schedule import (
    between,
    consistency_weight,
    ema_decay,
    learning_rate,
    view_weights,
)
from magenet_batch.training.step import StepConfig, training_losses
from magenet_batch.training.structure import STRUCTURE, train_structure
from magenet_batch.training.validate import (
    ValidationSet,
    make_validation_set,
    validate,
    write_picture,
)

CHECKPOINT, STRUCTURE_FILE = "checkpoint.safetensors", "structure.safetensors"
"""Files of a run: the checkpoint from which it resumes, and the structure module."""
_LOG_EVERY = 20
_ALONE = Group()


class Start(NamedTuple):
    """Initial state of a run that does not start from a new network.

    Attributes:
        network: the network, with its structure module.
        said: description of its weights, for the card.
    """

    network: TransformNetwork
    said: str


class Trainer:
    """One run on one device.

    Args:
        recipe: recipe of a network that is trained as a whole.
        reporter: reports progress to the user.
        group: this process among those that train together.
        stop: checked after every step for a stop request; None never stops.
        start: the network to start from; None for a new one.
    """

    def __init__(
        self,
        recipe: AffineRecipe,
        *,
        reporter: Reporter,
        group: Group = _ALONE,
        stop: Stop | None = None,
        start: Start | None = None,
    ) -> None:
        self.recipe = recipe
        self.fingerprint = fingerprint(recipe)
        self.begun_from = start.said if start else ""
        self.reporter = reporter
        self.group = group
        run = recipe.run
        if run.threads:
            torch.set_num_threads(run.threads)
        self.device = pick_device(group.device or run.device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.autocast = pick_autocast(run.precision, self.device)
        self.folder = Path(run.output)
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(run.seed)
        self.student = start.network if start else build_network(recipe.model)
        self.student.requires_grad_(True)
        self.student.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.student.structure is not None:
            self.student.structure.requires_grad_(False)
        self._freeze_all_but(recipe.schedule.parts)
        self.optimizer = torch.optim.AdamW(
            [p for p in self.student.parameters() if p.requires_grad],
            lr=recipe.schedule.learning_rate, weight_decay=recipe.schedule.weight_decay,
        )  # fmt: skip
        self.teacher: TransformNetwork = make_teacher(self.student)
        self.progress = Progress(recipe=self.fingerprint)
        self.stop = stop or Stop()
        self.stopped = False
        """Whether all processes agreed to save and stop."""
        self._shown: dict[str, torch.Tensor] = {}
        """The last batch, for diagnosis if the losses become invalid."""

    def run(self) -> bool:
        """Train until the schedule ends (returns True) or a stop is requested (returns False)."""
        if not self._prepare_structure():
            return False
        config = self.recipe
        clean = self._load(config.data.clean)
        real = None
        if config.consistency.weight > 0 and config.data.real:
            real = self._load(config.data.real, skip_bad=True)
        validation = self._validation_set()
        self._resume()
        if not self.group.leads:
            self._loop(clean, real, None, None)
            return self.share_done >= 1
        self.reporter.started(
            self.recipe.run, self.recipe.schedule, size=self.student.config.size,
            device=self.device, autocast=self.autocast, images=len(clean),
            real=len(real) if real else 0, step=self.progress.step,
        )  # fmt: skip
        curves = Curves(self.folder, step=self.progress.step)
        try:
            self._loop(clean, real, validation, curves)
        finally:
            curves.close()
        draw_results(self.folder)
        return self.share_done >= 1

    @property
    def share_done(self) -> float:
        """Share of the run that is done, 0..1, by steps or by time, whichever is larger."""
        schedule = self.recipe.schedule
        by_time = self.progress.seconds / 60 / schedule.minutes if schedule.minutes else 0.0
        return min(1.0, max(self.progress.step / schedule.steps, by_time))

    def checkpoint(self) -> None:
        """Save everything needed to resume."""
        save_checkpoint(
            self.folder / CHECKPOINT,
            networks={"student": self.student, "teacher": self.teacher},
            optimizer=self.optimizer, progress=self.progress,
        )  # fmt: skip

    def _load(self, folders: tuple[str, ...], *, skip_bad: bool = False) -> TrainingImages:
        photos = load_training_images(
            self.recipe.data, folders, skip_bad=skip_bad, threads=torch.get_num_threads()
        )
        if photos.skipped and self.group.leads:
            self.reporter.skipped(photos.skipped)
        return photos.to(self.device)

    def _validation_set(self) -> ValidationSet | None:
        if not self.recipe.data.validation:
            return None
        photos = self._load(self.recipe.data.validation)
        return make_validation_set(photos, self.recipe.validation, seed=self.recipe.run.seed)

    def _prepare_structure(self) -> bool:
        """Train the structure module, or load the one that was trained before.

        Returns:
            False if a stop was requested before it was done.
        """
        module = self.student.structure
        if module is None:
            return True
        config, path = self.recipe.structure, self.folder / STRUCTURE_FILE
        given = Path(config.weights) if config.weights else path
        if config.weights and not given.is_file():
            raise TrainingError(f"no structure module {given}: set structure.weights = ''")
        done = True
        if self.group.leads and not given.is_file() and not self.begun_from:
            done = self._train_structure(module, path)
        # The others wait here until the leader has trained it.
        _, self.stopped = self.group.agree(seconds=0.0, stop=not done, device=self.device)
        if given.is_file():
            load_model(module, given)
        return not self.stopped

    def _train_structure(self, module: StructureModule, path: Path) -> bool:
        data = self.recipe.data
        photos = load_training_images(data, data.vessels, with_vessels=True).to(self.device)
        run = PhaseOfRun(
            self.folder, self.fingerprint, self.recipe.validation.checkpoint_minutes,
            self.reporter, self.stop.is_set,
        )  # fmt: skip
        module.requires_grad_(True)
        done = train_structure(
            module, photos, config=self.recipe.structure, augment=self.recipe.augment, run=run,
            seed=self.recipe.run.seed, autocast=self.autocast, device=self.device,
        )  # fmt: skip
        module.requires_grad_(False)
        module.zero_grad(set_to_none=True)  # otherwise it would count when gradients are clipped
        if done:
            save_model(module, str(path))
            checkpoint_path(self.folder, STRUCTURE).unlink(missing_ok=True)
        return done

    def _resume(self) -> None:
        """Start with the student as it is, or from the checkpoint."""
        self.teacher.load_state_dict(self.student.state_dict())
        path = self.folder / CHECKPOINT
        if path.is_file():
            networks = {"student": self.student, "teacher": self.teacher}
            self.progress = load_checkpoint(
                path, networks=networks, optimizer=self.optimizer, recipe=self.fingerprint
            )

    def _freeze_all_but(self, parts: tuple[str, ...]) -> None:
        """Train only these parts of the network; empty for all."""
        have = {name: part for name, part in self.student.named_children() if name != "structure"}
        if unknown := [part for part in parts if part not in have]:
            known = nearest(unknown[0], have)
            raise TrainingError(f"schedule.parts: no part is named '{unknown[0]}'; {known}")
        for name, part in have.items():
            part.requires_grad_(not parts or name in parts)

    def _loop(
        self,
        clean: TrainingImages,
        real: TrainingImages | None,
        validation: ValidationSet | None,
        curves: Curves | None,
    ) -> None:
        """Run steps until done; only the leader, which has curves, validates and saves."""
        config = self.recipe
        saved = time.monotonic()
        self.student.train()
        while self.share_done < 1 and not self.stopped:
            before = time.monotonic()
            losses = self._optimise(clean, real)
            self.progress.step += 1
            self.progress.seconds, self.stopped = self.group.agree(
                seconds=self.progress.seconds + time.monotonic() - before,
                stop=self.stop.is_set(), device=self.device,
            )  # fmt: skip
            step = self.progress.step
            if curves is None:
                continue
            self.reporter.step(step, losses, seconds=self.progress.seconds)
            if step % _LOG_EVERY == 0 or step <= 5:
                curves.write(step, "train", losses)
            done = self.share_done >= 1
            if validation and (step % config.validation.every == 0 or done):
                self._validate(validation, curves)
            if done or time.monotonic() - saved > config.validation.checkpoint_minutes * 60:
                self.checkpoint()
                draw_results(self.folder)
                saved = time.monotonic()
            if self.group.size == 1:  # no other process has to agree on a stop during validation
                self.stopped = self.stopped or self.stop.is_set()
        if curves is not None and self.stopped:
            self.checkpoint()

    def _optimise(self, clean: TrainingImages, real: TrainingImages | None) -> dict[str, float]:
        """Take one optimiser step: accumulate gradients, then update student and teacher."""
        schedule, progress = self.recipe.schedule, self.share_done
        step = self.progress.step
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(
                step, progress, peak=schedule.learning_rate,
                final=schedule.final_learning_rate, warmup=schedule.warmup,
            )  # fmt: skip
        self.optimizer.zero_grad(set_to_none=True)
        sums: dict[str, float] = {}
        for part in range(schedule.accumulate):
            batch = (step * schedule.accumulate + part) * self.group.size + self.group.rank
            losses = self._losses(clean, real, batch=batch)
            (losses["total"] / schedule.accumulate).backward()  # type: ignore[no-untyped-call]
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / schedule.accumulate
        self.group.average_gradients(self.student.parameters())
        norm = torch.nn.utils.clip_grad_norm_(self.student.parameters(), schedule.clip)
        if not torch.isfinite(norm):
            kept = self.folder / f"not_finite_{self.group.rank}.safetensors"
            save_file({k: v.contiguous() for k, v in self._shown.items()}, kept)
            raise TrainingError(
                f"the gradient of step {step} is not finite (losses: {sums}); its "
                f"last batch is in {kept}; lower schedule.learning_rate, or set "
                "run.precision = 'fp32'"
            )
        self.optimizer.step()
        update_teacher(self.teacher, self.student, decay=ema_decay(step + 1, decay=schedule.ema))
        return {
            **sums,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "gradient": float(norm),
        }

    def _losses(
        self, clean: TrainingImages, real: TrainingImages | None, *, batch: int
    ) -> dict[str, torch.Tensor]:
        config, schedule = self.recipe, self.recipe.schedule
        rng = generator(config.run.seed, "train", batch)
        weights = view_weights(schedule.views, self.share_done)
        chosen = schedule.views[rng.choice(len(weights), p=weights)]
        view = View(chosen.working, chosen.ratio)
        smallest = min(v.working for v in schedule.views)
        fewer = (view.working / smallest) ** 2  # larger views, fewer images: the same memory
        synthetic = synthetic_pairs(
            rng, clean, count=max(1, round(schedule.batch / fewer)), view=view,
            augment=config.augment, preset=preset(config.degradation.preset),
        )  # fmt: skip
        self._shown = {"input": synthetic.input.crop, "target": synthetic.target.crop}
        seen_real = None
        ramped = consistency_weight(
            self.share_done, weight=config.consistency.weight, ramp=config.consistency.ramp
        )
        if real is not None and self.progress.step % config.consistency.every == 0:
            seen_real = real_pairs(
                rng, real, count=max(1, round(config.consistency.batch / fewer)), view=view,
                augment=config.augment, weak=preset(config.consistency.weak),
                strong=preset(config.consistency.strong),
            )  # fmt: skip
        return training_losses(
            self.student, self.teacher, synthetic, seen_real,
            config=StepConfig(
                config.loss, between(*config.loss.relative, self.share_done),
                config.consistency, self.autocast,
            ),
            consistency_weight=ramped,
        )  # fmt: skip

    def _validate(self, pairs: ValidationSet, curves: Curves) -> None:
        numbers, enhanced = validate(self.teacher, pairs, autocast=self.autocast)
        step = self.progress.step
        curves.write(step, "validation", numbers)
        self.reporter.validation(step, numbers)
        if self.recipe.validation.pictures:
            write_picture(
                self.folder / "pictures" / f"{step:07d}.jpg", pairs, enhanced,
                columns=self.recipe.validation.pictures,
            )  # fmt: skip
