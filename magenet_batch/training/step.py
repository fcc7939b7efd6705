"""One step of the teacher-student framework, written to be compared with the paper.

Supervision on synthetic pairs: every stage's image and the vessel map of the last one must match
the clean image. Consistency on real images: the student's result for a strong view must match its
teacher's result for a weak view, at every stage and in the vessel map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from magenet_batch.models.affine import Window
from magenet_batch.models.build import TransformNetwork
from magenet_batch.models.magenet import Crop, Enhanced
from magenet_batch.training.config import ConsistencyConfig, LossConfig
from magenet_batch.training.data.batches import MultiScaleView, Pairs
from magenet_batch.training.losses import (
    charbonnier,
    dissimilarity,
    edge,
    relative,
    structure_difference,
)

Losses = dict[str, torch.Tensor]


@dataclass(frozen=True)
class StepConfig:
    """Configuration of a step.

    Attributes:
        loss: weights of the supervised losses.
        relative: error above which an image's loss counts relatively, at this step.
        consistency: weights of the consistency losses.
        autocast: run the networks in bf16.
    """

    loss: LossConfig
    relative: float
    consistency: ConsistencyConfig
    autocast: bool


def training_losses(
    student: TransformNetwork,
    teacher: TransformNetwork,
    synthetic: Pairs,
    real: Pairs | None,
    *,
    config: StepConfig,
    consistency_weight: float,
) -> Losses:
    """Compute all losses of one step.

    Args:
        student: the network that is trained.
        teacher: its moving average, without gradients.
        synthetic: degraded and clean images.
        real: strong and weak views of real images, or None in a step without them.
        config: weights of the losses.
        consistency_weight: weight of the consistency loss at this step.

    Returns:
        Losses by name; `total` is the one to minimise.
    """
    weights = config.loss
    enhanced = enhance(student, synthetic.input, autocast=config.autocast)
    clean, masks = (
        per_stage(synthetic.target, enhanced),
        per_stage(synthetic.mask, enhanced, mask=True),
    )
    last, clean_last, mask_last = enhanced.images[-1], clean[-1], masks[-1]

    losses: Losses = {}
    errors = sum_stages(charbonnier, enhanced.images, clean, masks, weights.stages)
    losses["charbonnier"] = relative(errors, scale=config.relative).mean()
    losses["edge"] = edge(last, clean_last, mask_last).mean() * weights.edge
    losses["ssim"] = dissimilarity(last, clean_last, mask_last).mean() * weights.ssim
    losses["structure"] = weights.structure * structure_loss(
        student, last, clean_last, mask_last, autocast=config.autocast
    )
    if real is not None and consistency_weight > 0:
        with torch.no_grad():
            agreed = enhance(teacher, real.target, autocast=config.autocast)
        mine = enhance(student, real.input, autocast=config.autocast)
        views = per_stage(real.mask, mine, mask=True)
        errors = sum_stages(charbonnier, mine.images, agreed.images, views, weights.stages)
        losses["consistency"] = consistency_weight * relative(errors, scale=config.relative).mean()
        losses["structure_consistency"] = (
            consistency_weight
            * config.consistency.structure
            * structure_loss(
                student, mine.images[-1], agreed.images[-1], views[-1], autocast=config.autocast
            )
        )
    losses["total"] = torch.stack(list(losses.values())).sum()
    return losses


def enhance(network: TransformNetwork, shown: MultiScaleView, *, autocast: bool) -> Enhanced:
    """Run a network on a batch of views."""
    crop = None
    if shown.size != shown.working.shape[-1]:
        side = shown.crop.shape[-1]
        window = Window(shown.top, shown.top + side, shown.left, shown.left + side)
        crop = Crop(shown.crop, window, shown.size, shown.size)
    with torch.autocast(shown.working.device.type, torch.bfloat16, enabled=autocast):
        result: Enhanced = network(shown.working, crop=crop)
        return result


def per_stage(shown: MultiScaleView, like: Enhanced, *, mask: bool = False) -> list[torch.Tensor]:
    """The target of each stage's output, at that stage's size."""
    small, working = F.avg_pool2d(shown.working, 2), shown.working
    if mask:
        small, working = (small > 0.99).to(small.dtype), (working > 0.99).to(small.dtype)
    if like.local:
        return [*[small, working][: len(like.images) - 1], shown.crop]
    return [small, working][: len(like.images)]


def sum_stages(
    loss: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    xs: list[torch.Tensor],
    ys: list[torch.Tensor],
    masks: list[torch.Tensor],
    weights: tuple[float, ...],
) -> torch.Tensor:
    """Weighted sum of a loss over all stages' images: (B,). The last stage has the last weight."""
    used = [*weights[: len(xs) - 1], weights[-1]]
    return torch.stack(
        [w * loss(x, y, m) for w, x, y, m in zip(used, xs, ys, masks, strict=True)]
    ).sum(0)


def structure_loss(
    network: TransformNetwork,
    x: torch.Tensor,
    y: torch.Tensor,
    mask: torch.Tensor,
    *,
    autocast: bool,
) -> torch.Tensor:
    """Difference between the vessel maps that the structure module predicts for two images."""
    if network.structure is None:
        return x.new_zeros(())
    with torch.autocast(x.device.type, torch.bfloat16, enabled=autocast):
        with torch.no_grad():
            wanted = network.structure(y.clamp(0, 1)).logits
        found = network.structure(x.clamp(0, 1)).logits
    return structure_difference(found.float(), wanted.float(), mask).mean()
