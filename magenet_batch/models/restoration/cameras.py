"""Cameras that training knew: recognised by their frame, so that their tone can be told.

The tone of an unknown camera cannot be known, and a network that guesses pulls all cameras to one
colour. That of a camera with many sharp photographs can: their colours, and what Sense sees of the
image at working size, tell how far this one has gone astray. What a camera is, its frame tells: the
field of view with its cuts, which no fault changes. Where it is another, nothing here has any
effect.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from magenet_batch.models.blocks import zero_linear

ALIKE = 0.985
"""Least overlap of a frame with that of its camera."""
_GROUPED = 0.97  # least overlap of two photographs that make up a camera, in training
_QUICK = 0.96  # least share of areas at which frames are compared: enlarging moves edges by a pixel
_RESIZED = (1.0, 0.99, 1.01)  # a dark rim moves the edges of a frame by a pixel
_WIDTHS = (128, 64)


class KnownCameras(nn.Module):
    """The frames of known cameras, and a perceptron that tells the tone. A new one knows none.

    Args:
        cameras: number of frames.
        size: side of the frames, pixels.
        features: number of features from which the tone is told.
    """

    frames: torch.Tensor
    mean: torch.Tensor
    spread: torch.Tensor

    def __init__(self, cameras: int, *, size: int, features: int) -> None:
        super().__init__()
        self.register_buffer("frames", torch.zeros(cameras, size, size))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        first, second = _WIDTHS
        self.first = nn.Linear(features, first)
        self.second = nn.Linear(first, second)
        self.last = zero_linear(second, 5)

    @classmethod
    def like(cls, other: KnownCameras) -> KnownCameras:
        """A new one of the same size."""
        cameras, size, _ = other.frames.shape
        return cls(cameras, size=size, features=len(other.mean))

    def recognised(self, mask_B1SS: torch.Tensor) -> torch.Tensor:
        """Whether images come from a known camera: (B,) bool.

        Args:
            mask_B1SS: field of view in the square around it, 0 or 1.
        """
        if mask_B1SS.device.type == "cpu" and not bool(self._may_be(mask_B1SS).any()):
            return torch.zeros(len(mask_B1SS), dtype=torch.bool)  # elsewhere asking would wait
        return likeness(mask_B1SS, self.frames) >= ALIKE

    def _may_be(self, mask_B1SS: torch.Tensor) -> torch.Tensor:
        """Whether enlarged masks are about as large as a frame: (B,) bool; a quick look."""
        first, last = _ends(mask_B1SS)
        enlarged = mask_B1SS.sum((1, 2, 3)) / (last - first).amax(0).clamp_min(1).square()
        shares = self.frames.mean((1, 2))
        alike = torch.minimum(enlarged[:, None], shares) >= _QUICK * torch.maximum(
            enlarged[:, None], shares
        )
        return (alike & (shares > 0)).any(1)

    def normalised(self, features_BF: torch.Tensor) -> torch.Tensor:
        """Features with the mean and spread of those in training, within 6 standard deviations."""
        return ((features_BF - self.mean) / self.spread).clamp(-6, 6)

    def forward(
        self, normalised_BF: torch.Tensor, *, dropped: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Tell the tone: (B, 5), before their bounds.

        These are three log-gains, the belief in the tone, and the black of blue. Faded or garish
        colours shift blue most, which is dark in most eyes: it gets a level of its own back.

        Args:
            normalised_BF: output of `normalised`.
            dropped: factors on the first layer's features, while it is trained.
        """
        y = F.silu(self.first(normalised_BF))
        if dropped is not None:
            y = y * dropped
        result: torch.Tensor = self.last(F.silu(self.second(y)))
        return result


def likeness(mask_B1SS: torch.Tensor, frames_KSS: torch.Tensor) -> torch.Tensor:
    """Largest overlap of fields of view with a frame, also a little larger or smaller: (B,), 0..1.

    Args:
        mask_B1SS: field of view in the square around it, 0 or 1.
        frames_KSS: frames, from `framed`.
    """
    each = [overlap(framed(mask_B1SS, size=size), frames_KSS).amax(1) for size in _RESIZED]
    return torch.stack(each).amax(0)


def framed(mask_B1SS: torch.Tensor, *, size: float = 1.0) -> torch.Tensor:
    """Enlarge fields of view until they touch the square, so that its margin does not matter.

    Args:
        mask_B1SS: field of view, 0 or 1.
        size: what is then done to its size.

    Returns:
        The same, centred, of 0 and 1; 0 for an empty one.
    """
    side = mask_B1SS.shape[-1]
    first, last = _ends(mask_B1SS)
    half = (last - first).amax(0).clamp_min(1) / (side * size)
    centre = (first + last) / side - 1
    zero = torch.zeros_like(half)
    rows = [torch.stack([half, zero, centre[0]], 1), torch.stack([zero, half, centre[1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(mask_B1SS.shape), align_corners=False)
    enlarged = F.grid_sample(mask_B1SS, grid, mode="bilinear", align_corners=False)
    return (enlarged > 0.5).to(mask_B1SS.dtype)


def _ends(mask_B1SS: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where masks begin and end, across and then down, pixels: both (2, B)."""
    size = mask_B1SS.shape[-1]
    at = torch.arange(size, device=mask_B1SS.device) + 0.5
    there = torch.stack([mask_B1SS.amax(axis)[:, 0] > 0 for axis in (2, 3)])
    first = torch.where(there, at, size).amin(2) - 0.5
    return first, torch.where(there, at, 0).amax(2) + 0.5


def overlap(mask_B1SS: torch.Tensor, frames_KSS: torch.Tensor) -> torch.Tensor:
    """Intersection over union of each mask with each frame: (B, K), 0..1; 0 for an empty frame."""
    masks, frames = mask_B1SS.flatten(1), frames_KSS.flatten(1)
    both = masks @ frames.T
    either = masks.sum(1, keepdim=True) + frames.sum(1) - both
    return both / either.clamp_min(1)


def frames_among(
    frames_N1SS: torch.Tensor, *, cameras: int, least: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the frames that most photographs have in common.

    A plain circle tells no camera from another, and is left out.

    Args:
        frames_N1SS: fields of view of photographs, from `framed`.
        cameras: largest number of frames, K.
        least: a camera has at least as many photographs.

    Returns:
        Frames, (K, S, S) of 0 and 1, the most frequent first and 0 where there are fewer; and
        whether each photograph has one of them, (N,) bool.
    """
    found = frames_N1SS.new_zeros(cameras, *frames_N1SS.shape[2:])
    left = overlap(frames_N1SS, _circle(frames_N1SS.shape[-1]))[:, 0] < ALIKE
    known = torch.zeros_like(left)
    for index in range(cameras):
        alike = overlap(frames_N1SS, frames_N1SS[:, 0]) >= _GROUPED
        count = (alike & left[:, None] & left).sum(0)
        own = alike[:, count.argmax()] & left
        if int(own.sum()) < max(1, least):
            break
        found[index] = (frames_N1SS[own].float().mean((0, 1)) > 0.5).to(found.dtype)
        left, known = left & ~own, known | own
    return found, known


def _circle(size: int) -> torch.Tensor:
    """The frame of a field of view without cuts: (1, S, S)."""
    at = (torch.arange(size) + 0.5) * (2 / size) - 1
    return (at.square() + at[:, None].square() <= 1).float()[None]
