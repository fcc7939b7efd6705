"""Half-octave bands of detail: an undecimated decomposition by scale.

Binomial smoothing with taps ever farther apart ("a trous"; Starck and Murtagh, Astronomical Image
and Data Analysis, 2006). There are two steps per octave, so that the Gaussian that has smoothed the
image has the variance 2^k - 1/2 after band k = 0, 1, ...: gains per band can then follow the curve
of a Wiener filter closely, which octave bands cannot.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

BANDS = 8
"""Number of bands; the standard deviations of their Gaussians are 0.7, 1.2, 1.9 .. 8 and 11 px."""

_STEPS = tuple((2 + 2 * (k % 2), 2 ** (k // 2)) for k in range(BANDS))
"""Per band: sums of neighbours (2: taps 1 2 1, 4: taps 1 4 6 4 1), and pixels between taps."""

REACH = sum(sums * spacing // 2 for sums, spacing in _STEPS)
"""Radius in pixels beyond which no input influences the bands at a position."""


class Bands(NamedTuple):
    """Bands of detail and the smooth residual of images; their sum is the image.

    Attributes:
        stacked: the bands side by side as channels, fine first, (B, `BANDS` C, H, W).
        rest: the residual, (B, C, H, W).
    """

    stacked: torch.Tensor
    rest: torch.Tensor

    @property
    def detail(self) -> tuple[torch.Tensor, ...]:
        """The bands one by one, fine first, (B, C, H, W) each."""
        return self.stacked.chunk(BANDS, 1)

    def every(self, step: int) -> Bands:
        """Every n-th pixel along both axes."""
        return Bands(*(t[..., ::step, ::step] for t in self))


def detail_bands(x_BCHW: torch.Tensor) -> Bands:
    """Split images into bands of detail and a smooth residual, which add up to the image.

    Edges are mirrored, without repeating the outermost pixel where the image is large enough.

    Args:
        x_BCHW: images, any values; gradients do not reach them.
    """
    b, c, h, w = x_BCHW.shape
    stacked = x_BCHW.new_empty(b, BANDS * c, h, w)
    for k, (sums, spacing) in enumerate(_STEPS):
        smoother = _smoothed(x_BCHW, sums, spacing)
        torch.sub(x_BCHW, smoother, out=stacked[:, k * c : (k + 1) * c])
        x_BCHW = smoother
    return Bands(stacked, x_BCHW)


def _smoothed(x_BCHW: torch.Tensor, sums: int, spacing: int) -> torch.Tensor:
    """Smooth by a binomial of `sums` + 1 taps along both axes, as means of two neighbours."""
    width = sums * spacing // 2
    how = "reflect" if width < min(x_BCHW.shape[-2:]) else "replicate"
    x = F.pad(x_BCHW, (width,) * 4, mode=how)
    for axis in (2, 3):
        for _ in range(sums):
            rest = x.shape[axis] - spacing
            x = torch.lerp(x.narrow(axis, 0, rest), x.narrow(axis, spacing, rest), 0.5)
    return x
