"""Statistics of colour, independent of position: quantiles and covariance of the channels.

The exposure of a photograph shows in the tails of its histogram: where a channel was clipped, a
dimmed copy keeps a plateau below one. Convolutions learn that slowly; quantiles show it at once.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.blocks import zero_linear

_LEVELS = (.005, .02, .05, .1, .2, .3, .4, .5, .6, .7, .8, .9, .95, .98, .995)  # fmt: skip
_SIDE = 64  # side in pixels of the copy that is analysed, so that the working size does not matter
_DARK = 0.02  # images are 0 outside the field of view
_HIDDEN = 128
STATISTICS = 3 * len(_LEVELS) + 9


def colour_statistics(x_B3HW: torch.Tensor, *, side: int = _SIDE) -> torch.Tensor:
    """Quantiles per channel and the covariance of the channels, inside the field of view.

    Args:
        x_B3HW: whole images, RGB, 0..1, 0 outside the field of view.
        side: side of the copy that is analysed, pixels.

    Returns:
        (B, `STATISTICS`) float32; zeros for a completely black image.
    """
    full = x_B3HW.detach().float()
    x = F.adaptive_avg_pool2d(full, side)
    share = F.adaptive_avg_pool2d((full.amax(1, keepdim=True) > _DARK).float(), side)
    inside = F.max_pool2d(1 - share, 3, stride=1, padding=1) < 0.01  # no colours mixed with black
    # `torch.where` would copy the number to a GPU, which cannot be part of a CUDA graph.
    values = x.masked_fill(~inside, torch.nan).flatten(2)
    quantiles = torch.nanquantile(values, _levels(x.device), dim=2).permute(1, 2, 0).flatten(1)
    apart = torch.nan_to_num(values - values.nanmean(2, keepdim=True))
    count = inside.flatten(1).sum(1).clamp_min(1)[:, None, None]
    covariance = 10 * (apart @ apart.mT) / count  # about as large as the quantiles
    return torch.cat([torch.nan_to_num(quantiles), covariance.flatten(1)], 1)


@lru_cache(maxsize=8)
def _levels(device: torch.device) -> torch.Tensor:
    """The levels of the quantiles on a device, which would wait for each new copy."""
    with torch.inference_mode(False):  # cached, and training may be the next caller
        return torch.tensor(_LEVELS, device=device)


class DescribeColour(nn.Sequential):
    """Map statistics to a part of the whole image's description; initially zero."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Linear(STATISTICS, _HIDDEN),
            nn.GELU(),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.GELU(),
            zero_linear(_HIDDEN, channels),
        )
