"""Light stage: illumination and veil as smooth fields, which cannot lower relative contrast.

    z = l + S (x - l), l the luma of x;    y = (z exp(L) - v V) / (1 - v)

L is the log-illumination per channel, v the density of a veil and V its colour (Koschmieder's
model, solved for the scene). Where x has a detail of relative contrast c, y has c exp(L) x /
(exp(L) x - v V) >= c: undoing illumination preserves relative contrast, and removing a veil raises
it. The fields come from a coarse grid, so that nothing smaller than a macula is treated as light. S
is one number per image, at least 1: it restores faded colours, which also raises the contrast of
green, where vessels show.
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
from magenet_batch.models.restoration.statistics import STATISTICS as BAND_STATISTICS
from magenet_batch.models.statistics import STATISTICS, colour_statistics

_BRIGHTER, _DENSEST, _TONE = 1.6, 0.92, 1.0  # bounds of |L|, v and |tone|
_FADED = 0.5  # bound of log S
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_PATCH = 4  # side in pixels of the patches that the first convolution sees as channels
_COLOURS = 32  # side in pixels of the copy from which colour statistics are taken
_HIDDEN = 128  # features from which the tone is told


class Fields(NamedTuple):
    """Light of whole images, on a grid.

    Attributes:
        light: L, (B, 3, g, g).
        veil: v, (B, 1, g, g), 0..1.
        colour: V, (B, 3, 1, 1), 0..1.
        faded: log S, the lost saturation of the whole image, (B, 1, 1, 1), at least 0.
        tone: log-gain of the whole image per channel, (B, 3, 1, 1).
        own: log-gain that keeps the image's own tone after light and veil are undone, alike; it
            takes the place of `tone` as far as that is not believed.
        degraded: belief in light and veil, (B,), 0..1; at 0 they change nothing.
        toned: belief in the tone, (B,), 0..1.
    """

    light: torch.Tensor
    veil: torch.Tensor
    colour: torch.Tensor
    faded: torch.Tensor
    tone: torch.Tensor
    own: torch.Tensor
    degraded: torch.Tensor
    toned: torch.Tensor

    def believed(self) -> Fields:
        """The fields scaled by their beliefs, with both beliefs set to 1."""
        share, toned = (t.view(-1, 1, 1, 1) for t in (self.degraded, self.toned))
        whole = torch.ones_like(self.degraded)
        return Fields(
            self.light * share, self.veil * share, self.colour, self.faded * share,
            torch.lerp(self.own, self.tone, toned), torch.zeros_like(self.own), whole, whole,
        )  # fmt: skip

    def without_tone(self) -> Fields:
        """The same light and veil, without a change of tone."""
        return self._replace(tone=torch.zeros_like(self.tone), own=torch.zeros_like(self.own))


class Planes(NamedTuple):
    """The fields as gain and offset of each pixel, after the saturation of the whole image.

    z = l + saturation (x - l), l the luma of x; y = gain z - offset.
    """

    gain: torch.Tensor
    offset: torch.Tensor
    saturation: torch.Tensor

    @property
    def neutral(self) -> bool:
        """Whether they leave every image as it is."""
        apart = (self.gain - 1, self.offset, self.saturation - 1)
        return not bool(torch.stack([t.any() for t in apart]).any())

    def resized(self, size: int) -> Planes:
        """Resize smoothly to another size."""
        return self.cut(slice(0, size), slice(0, size), size=size)

    def cut(self, rows: slice, columns: slice, *, size: int) -> Planes:
        """A window of the planes resized to `size`; the values do not depend on the window."""
        enlarge = bicubic_matrix(self.gain.shape[-1], size, self.gain.device).to(self.gain)
        tall, wide = enlarge[rows], enlarge[columns].T
        return Planes(tall @ self.gain @ wide, tall @ self.offset @ wide, self.saturation)

    def apply(self, x_B3HW: torch.Tensor) -> torch.Tensor:
        """Restore images; the result is not clipped."""
        x = x_B3HW
        on_cpu = x.device.type == "cpu"  # elsewhere asking would wait for the device
        if on_cpu and not torch.is_grad_enabled() and bool((self.saturation == 1).all()):
            return self.gain * x - self.offset
        luma = (x * _luma(x.device).to(x.dtype)).sum(1, keepdim=True)
        return self.gain * torch.lerp(luma, x, self.saturation.to(x.dtype)) - self.offset


@lru_cache(maxsize=16)
def bicubic_matrix(inside: int, outside: int, device: torch.device) -> torch.Tensor:
    """Matrix of bicubic interpolation along one axis: (outside, inside) float32, on a device.

    Resizing by matrix products is many times faster than `F.interpolate`, also in the backward
    pass.
    """
    with torch.inference_mode(False):  # cached, and training may be the next caller
        eye = torch.eye(inside)[None, None]
        matrix = F.interpolate(eye, size=(outside, inside), mode="bicubic", align_corners=False)
        return matrix[0, 0].to(device)


@lru_cache(maxsize=8)
def _luma(device: torch.device) -> torch.Tensor:
    """Weights of the channels in the luma: (1, 3, 1, 1), on a device."""
    with torch.inference_mode(False):
        return torch.tensor(_LUMA, device=device).view(1, 3, 1, 1)


def planes(fields: Fields) -> Planes:
    """Gain and offset of fields, without applying their beliefs."""
    left = 1 - fields.veil
    scale = torch.exp(fields.tone)
    return Planes(
        torch.exp(fields.light) * scale / left, fields.veil * fields.colour * scale / left,
        torch.exp(fields.faded),
    )  # fmt: skip


class LightBlock(nn.Module):
    """Two normalised convolutions; the first can halve the resolution."""

    def __init__(self, inside: int, outside: int, *, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride=stride, padding=1)
        self.norm = nn.GroupNorm(1, outside)
        self.second = conv3(outside, outside)
        self.again = nn.GroupNorm(1, outside)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Compute features."""
        y = F.silu(self.norm(self.first(x_BCHW)))
        return F.silu(self.again(self.second(y)))


class Teller(nn.Sequential):
    """What the statistics of bands add to a vector of features; at first nothing."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Linear(BAND_STATISTICS, 96), nn.SiLU(), zero_linear(96, width))


class LightStage(nn.Module):
    """A small encoder-decoder on the whole image that predicts the fields."""

    def __init__(self, config: LightConfig) -> None:
        super().__init__()
        self.config = config
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
        self.rest = zero_linear(w[-1], 6)  # light of the whole image, colour of the veil
        self.fade = zero_linear(w[-1], 1)
        self.believe = nn.Sequential(nn.Linear(w[-1], 64), nn.SiLU(), zero_linear(64, 1))
        self.tone = nn.Sequential(
            nn.Linear(w[-1] + 2 * STATISTICS, _HIDDEN),
            nn.SiLU(),
            nn.Linear(_HIDDEN, 64),
            nn.SiLU(),
            zero_linear(64, 4),
        )
        self.tell_tone = Teller(_HIDDEN) if config.statistics else None
        with torch.no_grad():
            self.fields.bias[3] = -3.0  # type: ignore[index]
            self.rest.bias[3:] = torch.tensor([0.5, 0.2, -0.5])

    def forward(
        self,
        x_B3HW: torch.Tensor,
        mask_B1HW: torch.Tensor,
        statistics_BN: torch.Tensor | None = None,
    ) -> Fields:
        """Predict the light of whole images.

        Args:
            x_B3HW: squares of `size` pixels, RGB, 0..1, black outside the field of view.
            mask_B1HW: field of view, 0..1.
            statistics_BN: Sense's standardised statistics of the same images at working size, for
                a stage whose configuration says so; None leaves them out.
        """
        fields, colours = self.untoned(x_B3HW, mask_B1HW)
        first = self.tone[0](colours)
        if self.tell_tone is not None and statistics_BN is not None:
            first = first + self.tell_tone(statistics_BN)
        return toned(fields, self.tone[1:](first).float())

    def untoned(self, x_B3HW: torch.Tensor, mask_B1HW: torch.Tensor) -> tuple[Fields, torch.Tensor]:
        """Predict light and veil.

        Args:
            x_B3HW: as for `forward`.
            mask_B1HW: alike.

        Returns:
            The fields, with a tone of 0; and what tells the tone: the colours before and after
            light and veil are undone, (B, F).
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
        fields = Fields(
            light,
            _DENSEST * torch.sigmoid(raw[:, 3:]),
            torch.sigmoid(rest[:, 3:6])[:, :, None, None],
            _at_least_zero(_FADED * torch.tanh(self.fade(F.silu(whole)).float()))[:, :, None, None],
            torch.zeros_like(rest[:, :3, None, None]),
            torch.zeros_like(rest[:, :3, None, None]),
            gate(self.believe(F.silu(whole).detach())[:, 0].float()),
            torch.ones_like(rest[:, 0]),
        )
        own, after = _evened(x_B3HW * mask_B1HW, fields)
        return fields._replace(own=own), torch.cat([described.detach(), after], 1)


@torch.no_grad()
def _evened(lit: torch.Tensor, fields: Fields) -> tuple[torch.Tensor, torch.Tensor]:
    """The image's own tone after light and veil are undone, and statistics of its colours."""
    light = planes(fields.believed()).resized(lit.shape[-1])
    even = light.apply(lit) * (lit.amax(1, keepdim=True) > 0)
    own = torch.log(least_squares_gains(even, lit)).clamp(-_TONE, _TONE)
    return own, colour_statistics(even.clamp(0, 1), side=_COLOURS)


def toned(fields: Fields, told_B4: torch.Tensor) -> Fields:
    """Set the tone to what the last layer of `LightStage.tone` tells: gains, and a belief."""
    tone = _TONE * torch.tanh(told_B4[:, :3] / _TONE)
    return fields._replace(tone=tone[:, :, None, None], toned=gate(told_B4[:, 3]))


def least_squares_gains(x_BCHW: torch.Tensor, wanted_BCHW: torch.Tensor) -> torch.Tensor:
    """Gain per channel that brings images nearest to others in least squares: (B, C, 1, 1)."""
    found = (x_BCHW * wanted_BCHW).sum((2, 3), keepdim=True)
    return (found / x_BCHW.square().sum((2, 3), keepdim=True).clamp_min(1e-6)).clamp_min(1e-3)


@lru_cache(maxsize=8)
def _places(size: int, device: torch.device) -> torch.Tensor:
    """Coordinates in the square: across, down (-1..1) and squared distance: (1, 3, S, S)."""
    with torch.inference_mode(False):  # cached, as the matrices above
        at = (torch.arange(size, device=device) + 0.5) * (2 / size) - 1
        down, across = torch.meshgrid(at, at, indexing="ij")
        return torch.stack([across, down, across.square() + down.square()])[None]


def gate(logits: torch.Tensor) -> torch.Tensor:
    """A gate in 0..1 that can reach both ends (compare Louizos et al., ICLR 2018).

    Its gradients are those of the plain sigmoid (Bengio et al., 2013), so that a closed gate can
    open.
    """
    soft = torch.sigmoid(logits)
    return soft + ((1.2 * soft - 0.1).clamp(0, 1) - soft).detach()


def _at_least_zero(x: torch.Tensor) -> torch.Tensor:
    """Clamp at zero, with the gradient of the identity, so that a zero can rise again."""
    return x + (x.clamp_min(0) - x).detach()


def _calmed(x_BCHW: torch.Tensor) -> torch.Tensor:
    """Smooth by (1 2 1) along both axes, edges repeated: neighbouring cells differ little."""
    for axis in (2, 3):
        pad = (0, 0, 1, 1) if axis == 2 else (1, 1, 0, 0)
        padded = F.pad(x_BCHW, pad, mode="replicate")
        n = x_BCHW.shape[axis]
        x_BCHW = (
            padded.narrow(axis, 0, n) + 2 * padded.narrow(axis, 1, n) + padded.narrow(axis, 2, n)
        ) / 4
    return x_BCHW
