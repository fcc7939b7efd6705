"""Scatter part: the contrast that vessels have in sharp photographs.

Nothing is learned by gradient: the contrast of every clean photograph is measured as inference
measures it, and the stage keeps the mean and the deviation of its logarithm.
"""

from __future__ import annotations

import torch

from magenet_batch.models.restoration.network import Restorer, Squares
from magenet_batch.models.restoration.scatter import SIZE, reduced, vessel_contrast
from magenet_batch.training.data.images import TrainingImages

SCATTER = "scatter"
"""Name of this part."""
_AT_ONCE = 8  # images
_INSIDE = 0.98  # share of a small pixel that must lie inside the field of view, as in inference


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
    assert stage is not None
    found = []
    for first in range(0, len(photos), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        mask = photos.masks[some].to(device).float()
        x = photos.images[some].to(device).float() / 255 * mask
        vessels = network.vessels(x)
        assert vessels is not None
        [close] = Squares.of(x, mask, sizes=(SIZE,), least=_INSIDE)
        contrast, seen = vessel_contrast(close.pixels, reduced(vessels, SIZE), close.mask)
        found.append(contrast[(seen >= stage.config.sure[1]) & (contrast > 0)])
    logs = torch.log(torch.cat(found))
    if len(logs) > 1:
        stage.expected.copy_(logs.mean())
        stage.spread.copy_(logs.std())
    return len(logs)
