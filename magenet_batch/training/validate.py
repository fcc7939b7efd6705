"""Measure a network on degraded copies of images that are never trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.degradation.sample import preset, sample_degradation
from magenet_batch.models.affine import Window
from magenet_batch.models.build import TransformNetwork
from magenet_batch.quality.full_reference import psnr, ssim
from magenet_batch.randomness import generator
from magenet_batch.storage import write_atomic
from magenet_batch.training.config import ValidationConfig
from magenet_batch.training.data.images import TrainingImages

_BATCH = 4


@dataclass(frozen=True)
class ValidationSet:
    """Fixed validation pairs.

    Attributes:
        clean: (N, 3, S, S), 0..1.
        degraded: the same images after one recorded degradation each.
        mask: field of view, (N, 1, S, S).
    """

    clean: torch.Tensor
    degraded: torch.Tensor
    mask: torch.Tensor


def make_validation_set(
    photos: TrainingImages, config: ValidationConfig, *, seed: int
) -> ValidationSet:
    """Degrade the validation images once; the same seed gives the same pairs.

    Args:
        photos: images that are never trained on.
        config: preset, number and size of the images.
        seed: random seed of the degradations.
    """
    count = min(config.images, len(photos))
    size = (config.size, config.size)
    clean = F.interpolate(photos.images[:count].float() / 255, size=size, mode="area")
    mask = (F.interpolate(photos.masks[:count].float(), size=size, mode="area") > 0.99).float()
    how = preset(config.preset)
    params = [sample_degradation(generator(seed, "validation", i), how) for i in range(count)]
    return ValidationSet(clean, apply_degradation(clean, params, mask_B1HW=mask), mask)


@torch.no_grad()
def validate(
    network: TransformNetwork, pairs: ValidationSet, *, autocast: bool
) -> tuple[dict[str, float], torch.Tensor]:
    """Measure a network.

    Args:
        network: the network, in the state to be measured.
        pairs: fixed validation pairs.
        autocast: run in bf16.

    Returns:
        Means over images: PSNR and SSIM before and after, and of clean images passed through; and
            the
        enhanced images (N, 3, S, S).
    """
    enhanced = _run(network, pairs.degraded, autocast)
    passed = _run(network, pairs.clean, autocast)

    def both(name: str, preds: torch.Tensor) -> dict[str, float]:
        target, mask = pairs.clean, pairs.mask
        decibel = psnr(preds=preds, target=target, mask=mask).clamp(max=60)
        similarity = ssim(preds=preds, target=target, mask=mask)
        return {
            f"psnr_{name}": float(decibel.mean()),
            f"ssim_{name}": float(similarity.mean()),
        }

    numbers = both("degraded", pairs.degraded) | both("enhanced", enhanced) | both("clean", passed)
    numbers["psnr_gain"] = numbers["psnr_enhanced"] - numbers["psnr_degraded"]
    return numbers, enhanced


def _run(network: TransformNetwork, images: torch.Tensor, autocast: bool) -> torch.Tensor:
    size = images.shape[-1]
    parts = []
    for part in torch.split(images, _BATCH):
        part = part.contiguous(memory_format=torch.channels_last)
        # The same calls as inference, so that networks without a last stage also give full-size
        # images.
        with torch.autocast(part.device.type, torch.bfloat16, enabled=autocast):
            whole = Window.whole(size, size)
            context = network.context(part)
            parts.append(network.refine(part, context, window=whole, height=size, width=size))
    return torch.cat(parts).float().clamp(0, 1)


def write_picture(
    path: Path, pairs: ValidationSet, enhanced: torch.Tensor, *, columns: int
) -> None:
    """Write degraded, enhanced and clean images in rows below each other.

    Args:
        path: path of a JPEG file.
        pairs: fixed validation pairs.
        enhanced: the network's results, (N, 3, S, S).
        columns: number of images.
    """
    rows = [
        x[:columns].permute(2, 0, 3, 1).flatten(1, 2)
        for x in (pairs.degraded, enhanced, pairs.clean)
    ]
    picture = (torch.cat(rows).cpu().numpy() * 255).round().astype(np.uint8)
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    write_atomic(path, data.tobytes())
