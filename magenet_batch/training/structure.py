"""Training of the structure module on vessel masks, before the network that it guides."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.degradation.sample import preset, sample_degradation
from magenet_batch.models.structure import StructureModule
from magenet_batch.randomness import generator
from magenet_batch.training.config import StructureTrainingConfig
from magenet_batch.training.data.augment import recolour, sample_augmentation, warp
from magenet_batch.training.data.config import AugmentConfig
from magenet_batch.training.data.images import TrainingImages
from magenet_batch.training.losses import masked_mean
from magenet_batch.training.schedule import learning_rate

_VESSEL_WEIGHT = 2.0  # vessels are about a tenth of the pixels


def train_structure(
    module: StructureModule,
    photos: TrainingImages,
    *,
    config: StructureTrainingConfig,
    augment: AugmentConfig,
    seed: int,
    autocast: bool,
    report: Callable[[int, dict[str, float]], None],
) -> None:
    """Train in place.

    Args:
        module: the structure module.
        photos: images with vessels.
        config: how long and how large.
        augment: how widely to vary.
        seed: of everything random.
        autocast: run in bf16.
        report: called every 50 steps with the step and the numbers.
    """
    optimizer = torch.optim.AdamW(module.parameters(), lr=config.learning_rate, weight_decay=1e-3)
    module.train()
    started = time.monotonic()
    for step in range(config.steps):
        spent = (time.monotonic() - started) / 60
        progress = max(step / config.steps, spent / config.minutes if config.minutes else 0.0)
        if progress >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(
                step, progress, peak=config.learning_rate, final=1e-5, warmup=50
            )
        image, vessels, mask = _batch(photos, config, augment, seed=seed, step=step)
        with torch.autocast(image.device.type, torch.bfloat16, enabled=autocast):
            logits = module(image.contiguous(memory_format=torch.channels_last)).logits
        loss = vessel_loss(logits.float(), vessels, mask)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0:
            report(step, {"loss": float(loss.detach()), "dice": float(dice(logits, vessels, mask))})
    module.eval()


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
