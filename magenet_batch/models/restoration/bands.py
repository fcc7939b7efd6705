"""Half-octave bands of detail: an undecimated decomposition by scale.

Binomial smoothing with taps ever farther apart ("a trous"; Starck and Murtagh, Astronomical Image
and Data Analysis, 2006). There are two steps per octave, so that the Gaussian that has smoothed the
image has the variance 2^k - 1/2 after band k = 0, 1, ...: gains per band can then follow the curve
of a Wiener filter closely, which octave bands cannot.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

BANDS = 8
"""Number of bands; the standard deviations of their Gaussians are 0.7, 1.2, 1.9 .. 8 and 11 px."""

_STEPS = tuple((2 + 2 * (k % 2), 2 ** (k // 2)) for k in range(BANDS))
"""Per band: sums of neighbours (2: taps 1 2 1, 4: taps 1 4 6 4 1), and pixels between taps."""

REACH = sum(sums * spacing // 2 for sums, spacing in _STEPS)
"""Radius in pixels beyond which no input influences the bands at a position."""


Bands = tuple[list[torch.Tensor], torch.Tensor]
"""Bands of detail, fine first, and the smooth residual."""


def detail_bands(x_BCHW: torch.Tensor) -> Bands:
    """Split images into bands of detail and a smooth residual, which add up to the image.

    Edges are mirrored, without repeating the outermost pixel where the image is large enough.

    Args:
        x_BCHW: images, any values.

    Returns:
        `BANDS` tensors of the images' shape, fine first, and the residual.
    """
    found = []
    for sums, spacing in _STEPS:
        smoother = _smoothed(x_BCHW, sums, spacing)
        found.append(x_BCHW - smoother)
        x_BCHW = smoother
    return found, x_BCHW


def _smoothed(x_BCHW: torch.Tensor, sums: int, spacing: int) -> torch.Tensor:
    """Smooth by a binomial of `sums` + 1 taps along both axes, as sums of two neighbours."""
    width = sums * spacing // 2
    how = "reflect" if width < min(x_BCHW.shape[-2:]) else "replicate"
    x = F.pad(x_BCHW, (width,) * 4, mode=how)
    for axis in (2, 3):
        for _ in range(sums):
            rest = x.shape[axis] - spacing
            x = x.narrow(axis, 0, rest) + x.narrow(axis, spacing, rest)
    result: torch.Tensor = x / 4**sums
    return result
