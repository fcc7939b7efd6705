"""Local colour transforms: predicted by the global stages, applied at any resolution.

A global stage sees a small copy of the image. Instead of colours it predicts, for every position,
how to change them: a 3x3 matrix and an offset, y = A x + b. Enlarged and applied to the original's
own pixels, these transforms restore light and colour and keep all detail of the original (compare
Gharbi et al., Deep Bilateral Learning, SIGGRAPH 2017).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F

_GAIN, _OFFSET = 3.0, 1.0  # bounds on the change that one stage can make
_STRETCH = 256  # columns that are resized at a time


class Affine(NamedTuple):
    """A field of local colour transforms.

    Attributes:
        matrix: (B, 3, 3, H, W), from input to output channel.
        offset: (B, 3, H, W).
    """

    matrix: torch.Tensor
    offset: torch.Tensor

    @classmethod
    def from_raw(cls, raw_B12HW: torch.Tensor) -> Affine:
        """Bounded transforms from the output of a head; zeros give the identity."""
        raw = raw_B12HW.float()
        b, _, h, w = raw.shape
        eye = torch.eye(3, device=raw.device).view(1, 3, 3, 1, 1)
        change, offset = torch.split(raw, [9, 3], dim=1)
        matrix = eye + _GAIN * torch.tanh(change / _GAIN).view(b, 3, 3, h, w)
        return cls(matrix, _OFFSET * torch.tanh(offset / _OFFSET))

    def apply(self, x_B3HW: torch.Tensor) -> torch.Tensor:
        """Transform the colours of images of the same height and width."""
        y = self.offset
        for channel in range(3):
            y = torch.addcmul(y, self.matrix[:, :, channel], x_B3HW[:, channel : channel + 1])
        return y

    def after(self, first: Affine) -> Affine:
        """The transform that applies `first` and then this one."""
        matrix = (self.matrix[:, :, :, None] * first.matrix[:, None]).sum(2)
        return Affine(matrix, self.apply(first.offset))

    def packed(self) -> torch.Tensor:
        """All values as one tensor (B, 12, H, W), for resizing."""
        return torch.cat([self.matrix.flatten(1, 2), self.offset], 1)

    @classmethod
    def unpacked(cls, packed_B12HW: torch.Tensor) -> Affine:
        """The inverse of `packed`."""
        matrix, offset = torch.split(packed_B12HW, [9, 3], dim=1)
        return cls(torch.unflatten(matrix, 1, (3, 3)), offset)


@lru_cache(maxsize=256)
def interpolation_matrix(
    source: int, target: int, start: int, stop: int, *, device: torch.device, dtype: torch.dtype
) -> tuple[torch.Tensor, slice]:
    """Matrix of bilinear interpolation along one axis, for a range of target positions.

    Args:
        source: number of samples along the axis.
        target: length of the whole axis after resizing.
        start: first target position.
        stop: one past the last target position.
        device: where the matrix is kept.
        dtype: its type.

    Returns:
        A matrix (stop - start, n), and the slice of n source samples that it applies to. The result
        at a position does not depend on the range.
    """
    with torch.inference_mode(False):  # cached, and training may be the next caller
        at = torch.arange(start, stop, dtype=torch.float64)
        at = ((at + 0.5) * (source / target) - 0.5).clamp(0, source - 1)
        low = at.floor().long().clamp(max=max(source - 2, 0))
        first, last = int(low[0]), min(int(low[-1]) + 2, source)
        weights = torch.zeros(stop - start, last - first, dtype=torch.float64)
        rows = torch.arange(stop - start)
        weights[rows, low - first] = 1 - (at - low)
        if source > 1:
            weights[rows, low - first + 1] += at - low
        return weights.to(device, dtype), slice(first, last)


class Window(NamedTuple):
    """A rectangle of the full image, in pixels.

    Attributes:
        top: first row.
        bottom: one past the last row.
        left: first column.
        right: one past the last column.
    """

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def whole(cls, height: int, width: int) -> Window:
        """The rectangle of the whole image."""
        return cls(0, height, 0, width)

    def halved(self) -> Window:
        """The same rectangle at half the resolution; all edges must be even."""
        return Window(*(edge // 2 for edge in self))


def cut_resized(x_BCHW: torch.Tensor, window: Window, *, height: int, width: int) -> torch.Tensor:
    """Resize images bilinearly, and return only the window.

    Only the samples under the window are read, and the values do not depend on the window: this is
    what makes tiles seamless.

    Args:
        x_BCHW: small images.
        window: rectangle of the resized images.
        height: height of the whole resized images, pixels.
        width: width of the whole resized images, pixels.

    Returns:
        (B, C, window height, window width).
    """
    if window == Window.whole(height, width):
        return F.interpolate(x_BCHW, size=(height, width), mode="bilinear", align_corners=False)

    def weights(axis: int, size: int, start: int, stop: int) -> tuple[torch.Tensor, slice]:
        return interpolation_matrix(
            x_BCHW.shape[axis], size, start, stop, device=x_BCHW.device, dtype=x_BCHW.dtype
        )

    rows, r = weights(-2, height, window.top, window.bottom)
    tall = rows @ x_BCHW[..., r, :]
    resized = tall.new_empty((*tall.shape[:-1], window.right - window.left))
    # Stretch by stretch: each needs few columns of the small image, while a single matrix would be
    # mostly zeros.
    for left in range(window.left, window.right, _STRETCH):
        right = min(left + _STRETCH, window.right)
        columns, c = weights(-1, width, left, right)
        resized[..., left - window.left : right - window.left] = tall[..., c] @ columns.mT
    return resized
