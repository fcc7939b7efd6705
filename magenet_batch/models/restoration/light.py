"""Light stage: illumination and veil as smooth fields, which cannot lower relative contrast.

    z = l + S (x - l), l the luma of x;    y = (z exp(L) - v V) / (1 - v)

L is the log-illumination per channel, v the density of a veil and V its colour (Koschmieder's
model, solved for the scene). Where x has a detail of relative contrast c, y has c exp(L) x /
(exp(L) x - v V) >= c: undoing illumination preserves relative contrast, and removing a veil raises
it. The fields come from a coarse grid, so that nothing smaller than a macula is treated as light. S
is one number per image, at least 1: it restores faded colours, which also raises the contrast of
green, where vessels show. Blue alone can have a black level, which is then taken away, or given
back: where it was clipped in a photograph of a known camera, it has no contrast to lose.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.blocks import conv3, conv_unshuffled, zero_conv, zero_linear
from magenet_batch.models.restoration.cameras import KnownCameras
from magenet_batch.models.restoration.config import LightConfig
from magenet_batch.models.restoration.fields import Fields, calmed, planes
from magenet_batch.models.restoration.gates import gate
from magenet_batch.models.restoration.statistics import STATISTICS as BAND_STATISTICS
from magenet_batch.models.statistics import STATISTICS, colour_statistics

_BRIGHTER, _DENSEST, _TONE = 1.6, 0.92, 1.0  # bounds of |L|, v and |tone|
_FADED = 0.5  # bound of log S
_BLACK = 0.15  # bound of |black|
_PATCH = 4  # side in pixels of the patches that the first convolution sees as channels
_COLOURS = 32  # side in pixels of the copy from which colour statistics are taken
_MIRRORED = ((-1,), (-2,), (-2, -1))  # axes of the other views
_HIDDEN = 128  # features from which the tone is told
_UNLIKELY = 0.5  # belief in light and veil below which the tone of a known camera is doubted
_DOUBT = 4.0  # by so much, before the gate


class LightBlock(nn.Module):
    """Two normalised convolutions; the first can halve the resolution."""

    def __init__(self, inside: int, outside: int, *, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride=stride, padding=1)
        self.norm = nn.GroupNorm(1, outside)
        self.second = conv3(outside, outside)
        self.again = nn.GroupNorm(1, outside)

    def forward(self, x_BCHW: torch.Tensor, *, patch: int = 1) -> torch.Tensor:
        """Compute features; squares of `patch` pixels become the channels of the first one."""
        first = self.first
        y = first(x_BCHW) if patch == 1 else conv_unshuffled(x_BCHW, first, factor=patch)
        y = F.silu(self.norm(y))
        return F.silu(self.again(self.second(y)))


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
        self.known: KnownCameras | None = None
        if config.cameras:
            features = w[-1] + 2 * STATISTICS + 1 + BAND_STATISTICS
            self.known = KnownCameras(config.cameras, size=config.size, features=features)
        with torch.no_grad():
            self.fields.bias[3] = -3.0  # type: ignore[index]
            self.rest.bias[3:] = torch.tensor([0.5, 0.2, -0.5])

    def forward(
        self,
        x_B3HW: torch.Tensor,
        mask_B1HW: torch.Tensor,
        statistics_BN: torch.Tensor | None = None,
        *,
        views: int = 1,
    ) -> Fields:
        """Predict the light of whole images.

        Args:
            x_B3HW: squares of `size` pixels, RGB, 0..1, black outside the field of view.
            mask_B1HW: field of view, 0..1.
            statistics_BN: Sense's standardised statistics of the same images at working size, for
                a stage that knows cameras; None treats all cameras as unknown.
            views: number of mirrored views that are joined: 1, 2 or 4.
        """
        fields, colours = self.untoned(x_B3HW, mask_B1HW, views=views)
        told = F.pad(self.tone(colours).float(), (0, 1))  # an unknown camera's black stays
        if self.known is not None and statistics_BN is not None:
            features = self.known.normalised(known_features(fields, colours, statistics_BN))
            known = self.known.recognised(mask_B1HW)[:, None]
            told = torch.where(known, _doubted(self.known(features), fields.degraded), told)
        return toned(fields, told)

    def untoned(
        self, x_B3HW: torch.Tensor, mask_B1HW: torch.Tensor, *, views: int = 1
    ) -> tuple[Fields, torch.Tensor]:
        """Predict light and veil.

        Neither eyes nor light know left from right or above from below, but a network that has
        seen few cameras errs in each mirrored view differently: the fields are the means over the
        views. Where they disagree whether there is a fault, the least belief counts.

        Args:
            x_B3HW: as for `forward`.
            mask_B1HW: alike.
            views: alike.

        Returns:
            The fields, with a tone of 0; and what tells the tone: the colours before and after
            light and veil are undone, (B, F).
        """
        axes = ((), *_MIRRORED[: views - 1])
        spread = colour_statistics(x_B3HW * mask_B1HW, side=_COLOURS)  # alike in all views
        several, described = self._seen(
            torch.cat([x_B3HW.flip(axis) for axis in axes]),
            torch.cat([mask_B1HW.flip(axis) for axis in axes]),
            spread.repeat(views, 1),
        )
        each = [Fields(*one) for one in zip(*(t.chunk(views) for t in several), strict=True)]
        each = [one.mirrored(axis) for one, axis in zip(each, axes, strict=True)]
        fields = Fields(*(torch.stack(t).mean(0) for t in zip(*each, strict=True)))
        fields = fields._replace(degraded=torch.stack([one.degraded for one in each]).amin(0))
        own, after = _evened(x_B3HW * mask_B1HW, fields)
        before = torch.stack(described.chunk(views)).mean(0)
        return fields._replace(own=own), torch.cat([before, after], 1)

    def _seen(
        self, x_B3HW: torch.Tensor, mask_B1HW: torch.Tensor, spread_BN: torch.Tensor
    ) -> tuple[Fields, torch.Tensor]:
        """Light and veil of single views, and what describes them, without gradients."""
        places = _places(self.size, x_B3HW.device).expand(len(x_B3HW), -1, -1, -1)
        seen = torch.cat([x_B3HW * mask_B1HW - 0.3, mask_B1HW, places], 1)
        skips = [self.down[0](seen, patch=_PATCH)]
        for block in self.down[1:]:
            skips.append(block(skips[-1]))
        y = skips[-1]
        described = torch.cat([y.float().mean((2, 3)), spread_BN], 1)
        whole = self.whole(described)
        y = y + whole[:, :, None, None].to(y.dtype)
        for block, skip in zip(self.up, (skips[2], skips[1]), strict=True):
            larger = F.interpolate(y, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            y = block(torch.cat([larger, skip], 1))
        raw = self.fields(y).float()
        raw = F.interpolate(raw, size=(self.grid, self.grid), mode="bilinear", align_corners=False)
        raw, rest = calmed(raw), self.rest(F.silu(whole)).float()
        light = _BRIGHTER * torch.tanh((raw[:, :3] + rest[:, :3, None, None]) / _BRIGHTER)
        nothing = torch.zeros_like(rest[:, :3, None, None])
        fields = Fields(
            light,
            _DENSEST * torch.sigmoid(raw[:, 3:]),
            torch.sigmoid(rest[:, 3:6])[:, :, None, None],
            _at_least_zero(_FADED * torch.tanh(self.fade(F.silu(whole)).float()))[:, :, None, None],
            nothing, nothing, nothing,
            gate(self.believe(F.silu(whole).detach())[:, 0].float()),
            torch.ones_like(rest[:, 0]),
        )  # fmt: skip
        return fields, described.detach()


@torch.no_grad()
def _evened(lit: torch.Tensor, fields: Fields) -> tuple[torch.Tensor, torch.Tensor]:
    """The image's own tone after light and veil are undone, and statistics of its colours."""
    light = planes(fields.believed()).resized(lit.shape[-1])
    even = light.apply(lit) * (lit.amax(1, keepdim=True) > 0)
    own = torch.log(least_squares_gains(even, lit)).clamp(-_TONE, _TONE)
    return own, colour_statistics(even.clamp(0, 1), side=_COLOURS)


def _doubted(told_B5: torch.Tensor, degraded_B: torch.Tensor) -> torch.Tensor:
    """Believe less in the tone of a known camera where its light seems to be as it was."""
    doubt = _DOUBT * (degraded_B < _UNLIKELY).to(told_B5.dtype)
    tone, belief, black = torch.split(told_B5, [3, 1, 1], dim=1)
    return torch.cat([tone, belief - doubt[:, None], black], 1)


def known_features(
    fields: Fields, colours_BF: torch.Tensor, statistics_BN: torch.Tensor
) -> torch.Tensor:
    """What tells the tone of a known camera: output of `untoned`, and Sense's statistics."""
    return torch.cat([colours_BF, fields.degraded[:, None], statistics_BN], 1)


def toned(fields: Fields, told_B5: torch.Tensor) -> Fields:
    """Set tone and black to what a last layer tells: gains, a belief, and the black of blue."""
    tone = _TONE * torch.tanh(told_B5[:, :3] / _TONE)
    black = F.pad(_BLACK * torch.tanh(told_B5[:, 4:]), (2, 0))
    return fields._replace(
        tone=tone[:, :, None, None], black=black[:, :, None, None], toned=gate(told_B5[:, 3])
    )


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


def _at_least_zero(x: torch.Tensor) -> torch.Tensor:
    """Clamp at zero, with the gradient of the identity, so that a zero can rise again."""
    return x + (x.clamp_min(0) - x).detach()
