"""Scatter part: the contrast that vessels have in sharp photographs.

Nothing is learned by gradient: the contrast of every clean photograph is measured as inference
measures it, and the stage keeps the mean and the deviation of its logarithm.
"""

from __future__ import annotations

import torch

from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.restoration.scatter import (
    SIZE,
    ScatterStage,
    reduced,
    vessel_contrast,
)
from magenet_batch.training.data.images import TrainingImages

SCATTER = "scatter"
"""Name of this part."""
_AT_ONCE = 8  # images


@torch.inference_mode()
def fit_scatter(network: Restorer, photos: TrainingImages, *, device: torch.device) -> int:
    """Measure the contrast of vessels in photographs, and keep it in the network's scatter stage.

    Where vessels are seen in fewer than two photographs, the stage stays as it is.

    Args:
        network: with a structure module that is trained, and a scatter stage.
        photos: clean photographs.
        device: device of the network.

    Returns:
        Number of photographs in which vessels are seen.
    """
    stage = network.scatter
    assert isinstance(stage, ScatterStage)
    found = []
    for first in range(0, len(photos), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        mask = photos.masks[some].to(device).float()
        x = photos.images[some].to(device).float() / 255 * mask
        vessels = network.vessels(x)
        assert vessels is not None
        small, likely, share = (reduced(t, SIZE) for t in (x, vessels, mask))
        inside = (share > 0.98).float()
        contrast, seen = vessel_contrast(small * inside, likely, inside)
        found.append(contrast[(seen >= stage.config.sure[1]) & (contrast > 0)])
    logs = torch.log(torch.cat(found))
    if len(logs) > 1:
        stage.expected.copy_(logs.mean())
        stage.spread.copy_(logs.std())
    return len(logs)
