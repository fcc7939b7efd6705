"""Spots stage: dust and droplets on the objective, which add light or take it away.

    y = x - d, d the light that they add at each pixel; negative where they darken

They lie in front of the eye and out of focus, so d is soft and nearly the same in red, green and
blue (`degradation/kinds/spots.py`). A network finds what may be such light; it is taken away only
where the image itself shows that it was added (`evidence.py`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.blocks import conv3, conv_unshuffled, zero_conv
from magenet_batch.models.restoration.config import SpotsConfig
from magenet_batch.models.restoration.evidence import evidence
from magenet_batch.models.restoration.fields import Planes, luma_of
from magenet_batch.models.restoration.gates import gate

_STRONGEST = 0.3  # bound of |d|
_FAINT, _PLAIN = 0.02, 0.04  # peak |d| of a spot that is left, and of one that is undone in full
_PATCH = 4  # side in pixels of the patches that a convolution sees, and writes, as channels
_SCALE = 0.1  # d for an output of 1


class SpotsStage(nn.Module):
    """A small network on a copy of the whole image. A new one finds no spots."""

    def __init__(self, config: SpotsConfig) -> None:
        super().__init__()
        self.config = config
        w, patch = config.width, _PATCH**2
        self.first = conv3(4 * patch, w)
        self.blocks = nn.ModuleList(conv3(w, w) for _ in range(config.depth))
        self.norms = nn.ModuleList(nn.GroupNorm(1, w) for _ in range(config.depth + 1))
        self.last = zero_conv(w, 4 * patch)

    def forward(
        self, x_B3SS: torch.Tensor, mask_B1SS: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Find the light that spots add to whole images.

        Args:
            x_B3SS: squares around the field of view, RGB, 0..1, black outside it.
            mask_B1SS: field of view, 0 or 1.

        Returns:
            d, (B, 3, S, S), -0.3..0.3; and the belief in it, (B, 1, S, S), 0..1, which reaches both
            ends.
        """
        seen = torch.cat([x_B3SS - 0.3 * mask_B1SS, mask_B1SS], 1)
        y = F.silu(self.norms[0](conv_unshuffled(seen, self.first, factor=_PATCH)))
        for block, norm in zip(self.blocks, list(self.norms)[1:], strict=True):
            y = y + F.silu(norm(block(y)))
        told = F.pixel_shuffle(self.last(y), _PATCH).float()
        return (_SCALE * told[:, :3]).clamp(-_STRONGEST, _STRONGEST), gate(told[:, 3:])

    def found(self, x_B3SS: torch.Tensor, mask_B1SS: torch.Tensor) -> torch.Tensor:
        """The light that spots add, as far as it is believed and evident: (B, 3, S, S).

        It is 0 outside the field of view, and in photographs without dust.
        """
        added = self.suspected(x_B3SS, mask_B1SS)
        if nothing_added(added):
            return added
        return added * evidence(x_B3SS, added, mask_B1SS)

    def suspected(self, x_B3SS: torch.Tensor, mask_B1SS: torch.Tensor) -> torch.Tensor:
        """The same without regard to evidence; faint spots are left."""
        added, belief = self(x_B3SS, mask_B1SS)
        believed: torch.Tensor = added * (belief * mask_B1SS)
        peak = F.max_pool2d(believed.abs(), _PATCH).amax(1, keepdim=True)
        peak = F.max_pool2d(peak, 3, stride=1, padding=1)  # also of the patches around
        share = ((peak - _FAINT) / (_PLAIN - _FAINT)).clamp(0, 1)
        return believed * F.interpolate(share, scale_factor=_PATCH, mode="nearest")


def nothing_added(added_B3SS: torch.Tensor) -> bool:
    """Whether there is nothing to undo. Only CPUs are asked: elsewhere asking would wait."""
    return added_B3SS.device.type == "cpu" and not bool(added_B3SS.any())


def unspotted(light: Planes, added_B3SS: torch.Tensor) -> Planes:
    """Undo spots before light and veil: gain and offset of both, on planes as fine as the spots."""
    fine = light.resized(added_B3SS.shape[-1])
    luma = luma_of(added_B3SS)
    faded = luma + light.saturation * (added_B3SS - luma)
    return fine._replace(offset=fine.offset + fine.gain * faded)
