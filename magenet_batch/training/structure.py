"""Training of the structure module on vessel masks; precedes that of the network that it guides."""

from __future__ import annotations

from contextlib import closing

import torch
import torch.nn.functional as F

from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.degradation.sample import preset, sample_degradation
from magenet_batch.models.structure import StructureModule
from magenet_batch.randomness import generator
from magenet_batch.training.config import StructureTrainingConfig
from magenet_batch.training.data.ahead import Ahead
from magenet_batch.training.data.augment import recolour, sample_augmentation, warp
from magenet_batch.training.data.config import AugmentConfig
from magenet_batch.training.data.images import TrainingImages
from magenet_batch.training.losses import masked_mean
from magenet_batch.training.part import PartSchedule, PartTrainer, PhaseOfRun

STRUCTURE = "structure"
"""Name of this part and of its files."""
_VESSEL_WEIGHT = 2.0  # vessels are about a tenth of the pixels


def train_structure(
    module: StructureModule,
    photos: TrainingImages,
    *,
    config: StructureTrainingConfig,
    augment: AugmentConfig,
    run: PhaseOfRun,
    seed: int,
    autocast: bool,
    device: torch.device,
    loaders: int = 0,
) -> bool:
    """Train in place, or resume; the module is written only when it is done.

    Args:
        module: the structure module.
        photos: images with vessel masks.
        config: duration and sizes.
        augment: range of the variations.
        run: folder of its checkpoint and curves, and when to stop.
        seed: random seed.
        autocast: run in bf16.
        device: device of the module.
        loaders: processes that prepare batches ahead; without, they are made on the device of the
            images.

    Returns:
        Whether the schedule is finished; False after a stop, when the checkpoint was saved.
    """
    ahead = Ahead(
        lambda step: _batch(photos, config, augment, seed=seed, step=step), loaders=loaders
    )

    def losses(
        student: StructureModule, teacher: StructureModule, step: int, share: float
    ) -> dict[str, torch.Tensor]:
        image, vessels, mask = (t.to(device, non_blocking=True) for t in ahead.at(step))
        with torch.autocast(image.device.type, torch.bfloat16, enabled=autocast):
            logits = student(image.contiguous(memory_format=torch.channels_last)).logits
        return {
            "total": vessel_loss(logits.float(), vessels, mask),
            "dice": dice(logits, vessels, mask),
        }

    schedule = PartSchedule(
        steps=config.steps, minutes=config.minutes, peak=config.learning_rate, final=1e-5,
        ema=0.0, validate_every=config.steps, checkpoint_minutes=run.checkpoint_minutes,
        fingerprint=run.fingerprint, warmup=50, weight_decay=1e-3,
    )  # fmt: skip
    trainer = PartTrainer(
        STRUCTURE, module, losses=losses, validate=None, schedule=schedule, folder=run.folder,
        reporter=run.reporter, stopped=run.stopped,
    )  # fmt: skip
    with closing(ahead):
        done = trainer.run()
    module.eval()
    return done


def vessel_loss(
    logits_B1HW: torch.Tensor, vessels_B1HW: torch.Tensor, mask_B1HW: torch.Tensor
) -> torch.Tensor:
    """Weighted cross-entropy and soft Dice (Milletari et al., 3DV 2016), inside the mask."""
    weight = torch.tensor(_VESSEL_WEIGHT, device=logits_B1HW.device)
    entropy = F.binary_cross_entropy_with_logits(
        logits_B1HW, vessels_B1HW, pos_weight=weight, reduction="none"
    )
    found = torch.sigmoid(logits_B1HW) * mask_B1HW
    overlap = 2 * (found * vessels_B1HW).sum() / (found.square() + vessels_B1HW).sum().clamp_min(1)
    return masked_mean(entropy, mask_B1HW).mean() + 0.5 * (1 - overlap)


@torch.no_grad()
def dice(
    logits_B1HW: torch.Tensor, vessels_B1HW: torch.Tensor, mask_B1HW: torch.Tensor
) -> torch.Tensor:
    """Dice overlap of the thresholded map, over the whole batch: 0..1."""
    found = (logits_B1HW > 0).float() * mask_B1HW
    return 2 * (found * vessels_B1HW).sum() / (found + vessels_B1HW).sum().clamp_min(1)


def _batch(
    photos: TrainingImages,
    config: StructureTrainingConfig,
    augment: AugmentConfig,
    *,
    seed: int,
    step: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images, vessels and masks; half of the images are degraded."""
    rng = generator(seed, "structure", step)
    assert photos.vessels is not None
    chosen = torch.from_numpy(rng.integers(len(photos), size=config.batch))
    chosen = chosen.to(photos.images.device)
    params = [sample_augmentation(rng, augment) for _ in range(config.batch)]
    everything = torch.cat(
        [photos.images[chosen] / 255, photos.masks[chosen], photos.vessels[chosen]], 1
    )
    everything = warp(everything.float(), params, size=config.size)
    mask = (everything[:, 3:4] > 0.98).float()
    vessels = (everything[:, 4:] > 0.4).float() * mask
    image = recolour(everything[:, :3], params) * mask
    how = preset(config.preset)
    bad = config.batch // 2
    degradations = [sample_degradation(rng, how) for _ in range(bad)]
    degraded = apply_degradation(image[:bad], degradations, mask_B1HW=mask[:bad])
    return torch.cat([degraded, image[bad:]]), vessels, mask
