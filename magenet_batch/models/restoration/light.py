"""Light stages: illumination and veil as smooth fields, under which relative contrast cannot fall.

    y = (x exp(L) - v V) / (1 - v)

L is log-illumination per channel, v the density of a veil and V its colour (Koschmieder's model,
solved for the scene). Where x has a detail of relative contrast c, y has c exp(L) x / (exp(L) x -
v V) >= c: light that is multiplied away leaves contrast as it is, a veil that is taken off raises
it. The fields come from a small grid, so that nothing smaller than a macula is taken for light.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.blocks import conv3, zero_conv, zero_linear
from magenet_batch.models.restoration.config import LightConfig
from magenet_batch.models.statistics import STATISTICS, colour_statistics

_BRIGHTER, _DENSEST, _TONE = 1.6, 0.92, 1.0  # bounds of |L|, v and |tone|
_PATCH = 4  # pixels across, that the first convolution sees as channels
_COLOURS = 32  # pixels across the copy whose colours are counted


class Fields(NamedTuple):
    """Light of whole images, on a grid.

    Attributes:
        light: L, (B, 3, g, g).
        veil: v, (B, 1, g, g), 0..1.
        colour: V, (B, 3, 1, 1), 0..1.
        tone: log-gain of the whole image per channel, (B, 3, 1, 1).
        degraded: how far light and veil are believed, (B,), 0..1; 0: they change nothing.
        toned: the same of the tone.
    """

    light: torch.Tensor
    veil: torch.Tensor
    colour: torch.Tensor
    tone: torch.Tensor
    degraded: torch.Tensor
    toned: torch.Tensor

    def believed(self) -> Fields:
        """The fields as far as they are believed, with both shares at 1."""
        share, toned = (t.view(-1, 1, 1, 1) for t in (self.degraded, self.toned))
        whole = torch.ones_like(self.degraded)
        return Fields(
            self.light * share, self.veil * share, self.colour, self.tone * toned, whole, whole
        )

    def without_tone(self) -> Fields:
        """The same light and veil, and the tone as it came."""
        return self._replace(tone=torch.zeros_like(self.tone))


class Planes(NamedTuple):
    """Fields as what pixels are multiplied by and what is subtracted: y = gain x - offset."""

    gain: torch.Tensor
    offset: torch.Tensor

    def resized(self, size: int) -> Planes:
        """The same, smoothly, at another size."""
        enlarge = bicubic_matrix(self.gain.shape[-1], size).to(self.gain)
        return Planes(*(enlarge @ t @ enlarge.T for t in self))

    def apply(self, x_B3HW: torch.Tensor) -> torch.Tensor:
        """Restored images; an offset never takes more than most of the light that is there."""
        lit = self.gain * x_B3HW
        return lit - self.offset


@lru_cache(maxsize=16)
def bicubic_matrix(inside: int, outside: int) -> torch.Tensor:
    """What a row of samples is multiplied by to be resized: (outside, inside) float32.

    As a product of matrices that is many times faster than `F.interpolate`, backwards too.
    """
    with torch.inference_mode(False):  # it is kept, and training may be the next to use it
        eye = torch.eye(inside)[None, None]
        matrix = F.interpolate(eye, size=(outside, inside), mode="bicubic", align_corners=False)
        return matrix[0, 0]


def planes(fields: Fields) -> Planes:
    """What the fields do to pixels, taken as they are, believed or not."""
    left = 1 - fields.veil
    scale = torch.exp(fields.tone)
    return Planes(
        torch.exp(fields.light) * scale / left, fields.veil * fields.colour * scale / left
    )


class LightBlock(nn.Module):
    """Two normalised convolutions; the first may halve the size."""

    def __init__(self, inside: int, outside: int, *, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride=stride, padding=1)
        self.norm = nn.GroupNorm(1, outside)
        self.second = conv3(outside, outside)
        self.again = nn.GroupNorm(1, outside)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Features."""
        y = F.silu(self.norm(self.first(x_BCHW)))
        return F.silu(self.again(self.second(y)))


class LightStage(nn.Module):
    """A small encoder-decoder on the whole image that predicts the fields."""

    def __init__(self, config: LightConfig) -> None:
        super().__init__()
        self.size, self.grid = config.size, config.grid
        w = config.widths
        self.down = nn.ModuleList(
            [LightBlock(7 * _PATCH**2, w[0]), *(LightBlock(a, b, stride=2) for a, b in pairwise(w))]
        )
        self.whole = nn.Sequential(
            nn.Linear(w[-1] + STATISTICS, 160), nn.SiLU(), nn.Linear(160, w[-1])
        )
        self.up = nn.ModuleList([LightBlock(w[3] + w[2], w[2]), LightBlock(w[2] + w[1], w[1])])
        self.fields = zero_conv(w[1], 4)
        self.rest = zero_linear(w[-1], 6)  # light of the whole, colour of the veil
        self.believe = nn.Sequential(nn.Linear(w[-1], 64), nn.SiLU(), zero_linear(64, 1))
        self.tone = nn.Sequential(
            nn.Linear(w[-1] + 2 * STATISTICS, 128),
            nn.SiLU(),
            nn.Linear(128, 64),
            nn.SiLU(),
            zero_linear(64, 4),
        )
        with torch.no_grad():
            self.fields.bias[3] = -3.0  # type: ignore[index]
            self.rest.bias[3:] = torch.tensor([0.5, 0.2, -0.5])

    def forward(self, x_B3HW: torch.Tensor, mask_B1HW: torch.Tensor) -> Fields:
        """From whole images to their light.

        Args:
            x_B3HW: squares of `size` pixels, 0..1, black outside the field of view.
            mask_B1HW: field of view, 0..1.
        """
        places = _places(self.size, x_B3HW.device).expand(len(x_B3HW), -1, -1, -1)
        seen = torch.cat([x_B3HW * mask_B1HW - 0.3, mask_B1HW, places], 1)
        y = F.pixel_unshuffle(seen, _PATCH)
        skips = []
        for block in self.down:
            y = block(y)
            skips.append(y)
        spread = colour_statistics(x_B3HW * mask_B1HW, side=_COLOURS)
        described = torch.cat([y.float().mean((2, 3)), spread], 1)
        whole = self.whole(described)
        y = y + whole[:, :, None, None].to(y.dtype)
        for block, skip in zip(self.up, (skips[2], skips[1]), strict=True):
            larger = F.interpolate(y, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            y = block(torch.cat([larger, skip], 1))
        raw = self.fields(y).float()
        raw = F.interpolate(raw, size=(self.grid, self.grid), mode="bilinear", align_corners=False)
        raw, rest = _calmed(raw), self.rest(F.silu(whole)).float()
        light = _BRIGHTER * torch.tanh((raw[:, :3] + rest[:, :3, None, None]) / _BRIGHTER)
        untoned = Fields(
            light,
            _DENSEST * torch.sigmoid(raw[:, 3:]),
            torch.sigmoid(rest[:, 3:6])[:, :, None, None],
            torch.zeros_like(rest[:, :3, None, None]),
            gate(self.believe(F.silu(whole).detach())[:, 0].float()),
            torch.ones_like(rest[:, 0]),
        )
        tone = self._tone(x_B3HW * mask_B1HW, described, untoned)
        return untoned._replace(
            tone=_TONE * torch.tanh(tone[:, :3] / _TONE)[:, :, None, None], toned=gate(tone[:, 3])
        )

    def _tone(self, lit: torch.Tensor, described: torch.Tensor, untoned: Fields) -> torch.Tensor:
        """The tone from colours before and after light and veil are undone."""
        with torch.no_grad():
            light = planes(untoned.believed()).resized(lit.shape[-1])
            after = colour_statistics(
                light.apply(lit).clamp(0, 1) * (lit.amax(1, keepdim=True) > 0), side=_COLOURS
            )
        result: torch.Tensor = self.tone(torch.cat([described.detach(), after], 1)).float()
        return result


@lru_cache(maxsize=8)
def _places(size: int, device: torch.device) -> torch.Tensor:
    """Where a pixel is in the square: across, down (-1..1) and squared distance: (1, 3, S, S)."""
    with torch.inference_mode(False):  # it is kept, as the matrices above
        at = (torch.arange(size, device=device) + 0.5) * (2 / size) - 1
        down, across = torch.meshgrid(at, at, indexing="ij")
        return torch.stack([across, down, across.square() + down.square()])[None]


def gate(logits: torch.Tensor) -> torch.Tensor:
    """A share 0..1 that reaches both ends (compare Louizos et al., ICLR 2018).

    Its gradients are those of the sigmoid alone (Bengio et al., 2013): a closed gate can open.
    """
    soft = torch.sigmoid(logits)
    return soft + ((1.2 * soft - 0.1).clamp(0, 1) - soft).detach()


def _calmed(x_BCHW: torch.Tensor) -> torch.Tensor:
    """Smoothed by (1 2 1) along both axes, edges repeated: nothing changes from cell to cell."""
    for axis in (2, 3):
        pad = (0, 0, 1, 1) if axis == 2 else (1, 1, 0, 0)
        padded = F.pad(x_BCHW, pad, mode="replicate")
        n = x_BCHW.shape[axis]
        x_BCHW = (
            padded.narrow(axis, 0, n) + 2 * padded.narrow(axis, 1, n) + padded.narrow(axis, 2, n)
        ) / 4
    return x_BCHW
