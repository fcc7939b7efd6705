"""Fields of light on a coarse grid, and the gain and offset of each pixel that they stand for."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F

_GRID = 16  # side of planes without fields, pixels
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Fields(NamedTuple):
    """Light of whole images, on a grid.

    Attributes:
        light: L, (B, 3, g, g).
        veil: v, (B, 1, g, g), 0..1.
        colour: V, (B, 3, 1, 1), 0..1.
        faded: log S, the lost saturation of the whole image, (B, 1, 1, 1), at least 0.
        tone: log-gain of the whole image per channel, (B, 3, 1, 1).
        black: level of each channel that is taken away after the tone, (B, 3, 1, 1); negative where
            a channel was clipped at black and its level is given back.
        own: log-gain that keeps the image's own tone after light and veil are undone, alike; it
            takes the place of `tone` as far as that is not believed.
        degraded: belief in light and veil, (B,), 0..1; at 0 they change nothing.
        toned: belief in tone and black, (B,), 0..1.
    """

    light: torch.Tensor
    veil: torch.Tensor
    colour: torch.Tensor
    faded: torch.Tensor
    tone: torch.Tensor
    black: torch.Tensor
    own: torch.Tensor
    degraded: torch.Tensor
    toned: torch.Tensor

    def believed(self) -> Fields:
        """The fields scaled by their beliefs, with both beliefs set to 1."""
        share, toned = (t.view(-1, 1, 1, 1) for t in (self.degraded, self.toned))
        whole = torch.ones_like(self.degraded)
        return Fields(
            self.light * share, self.veil * share, self.colour, self.faded * share,
            torch.lerp(self.own, self.tone, toned), self.black * toned,
            torch.zeros_like(self.own), whole, whole,
        )  # fmt: skip

    def scaled(self, share_B: torch.Tensor) -> Fields:
        """Believed fields, of which only a share is applied, (B,)."""
        share = share_B.view(-1, 1, 1, 1)
        return self._replace(
            light=self.light * share, veil=self.veil * share, faded=self.faded * share,
            tone=self.tone * share, black=self.black * share,
        )  # fmt: skip

    def of(self, index: int) -> Fields:
        """Those of one image of the batch, still with a batch axis."""
        return Fields(*(t[index : index + 1] for t in self))

    def mirrored(self, axes: tuple[int, ...]) -> Fields:
        """The fields of mirrored images."""
        return self._replace(light=self.light.flip(axes), veil=self.veil.flip(axes))

    def without_tone(self) -> Fields:
        """The same light and veil, without a change of tone."""
        nothing = torch.zeros_like(self.tone)
        return self._replace(tone=nothing, black=nothing, own=nothing)


class Planes(NamedTuple):
    """The fields as gain and offset of each pixel, after the saturation of the whole image.

    z = l + saturation (x - l), l the luma of x; y = gain z - offset.
    """

    gain: torch.Tensor
    offset: torch.Tensor
    saturation: torch.Tensor

    @classmethod
    def neutral_for(cls, x_B3HW: torch.Tensor) -> Planes:
        """Planes that leave these images as they are."""
        ones = x_B3HW.new_ones(len(x_B3HW), 3, _GRID, _GRID)
        return cls(ones, torch.zeros_like(ones), torch.ones_like(ones[:, :1, :1, :1]))

    @property
    def neutral(self) -> torch.Tensor:
        """Whether they leave every image as it is; a tensor, since asking waits for the device."""
        apart = (self.gain - 1, self.offset, self.saturation - 1)
        return ~torch.stack([t.any() for t in apart]).any()

    def of(self, index: int) -> Planes:
        """Those of one image of the batch, still with a batch axis."""
        return Planes(*(t[index : index + 1] for t in self))

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
        luma = luma_of(x)
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


def luma_of(x_B3HW: torch.Tensor) -> torch.Tensor:
    """Luma of images, (B, 1, H, W)."""
    return (x_B3HW * _weights(x_B3HW.device).to(x_B3HW.dtype)).sum(1, keepdim=True)


@lru_cache(maxsize=8)
def _weights(device: torch.device) -> torch.Tensor:
    """Weights of the channels in the luma: (1, 3, 1, 1), on a device."""
    with torch.inference_mode(False):
        return torch.tensor(_LUMA, device=device).view(1, 3, 1, 1)


def planes(fields: Fields) -> Planes:
    """Gain and offset of fields, without applying their beliefs."""
    left = 1 - fields.veil
    scale = torch.exp(fields.tone)
    return Planes(
        torch.exp(fields.light) * scale / left,
        fields.veil * fields.colour * scale / left + fields.black,
        torch.exp(fields.faded),
    )  # fmt: skip


def calmed(x_BCHW: torch.Tensor) -> torch.Tensor:
    """Smooth by (1 2 1) along both axes, edges repeated: neighbouring cells differ little."""
    for axis in (2, 3):
        pad = (0, 0, 1, 1) if axis == 2 else (1, 1, 0, 0)
        padded = F.pad(x_BCHW, pad, mode="replicate")
        n = x_BCHW.shape[axis]
        x_BCHW = (
            padded.narrow(axis, 0, n) + 2 * padded.narrow(axis, 1, n) + padded.narrow(axis, 2, n)
        ) / 4
    return x_BCHW
