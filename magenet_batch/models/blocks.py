"""Building blocks of the stages."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def conv3(inside: int, outside: int) -> nn.Conv2d:
    """A 3x3 convolution that preserves height and width."""
    return nn.Conv2d(inside, outside, 3, padding=1)


def zero_conv(inside: int, outside: int, *, kernel: int = 3, bias: float = 0.0) -> nn.Conv2d:
    """A convolution that is initially constant, so that a new head changes nothing."""
    conv = nn.Conv2d(inside, outside, kernel, padding=kernel // 2)
    nn.init.zeros_(conv.weight)
    nn.init.constant_(conv.bias, bias)  # type: ignore[arg-type]
    return conv


def zero_linear(inside: int, outside: int) -> nn.Linear:
    """A linear layer whose weights are initially zero."""
    linear = nn.Linear(inside, outside)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def silu(x: torch.Tensor) -> torch.Tensor:
    """SiLU, in place when no gradient is needed: memory is the limit on large images."""
    return F.silu(x, inplace=not torch.is_grad_enabled())


def tanh(x: torch.Tensor) -> torch.Tensor:
    """Hyperbolic tangent; when no gradient is needed as a sigmoid, which CPUs compute faster."""
    return torch.tanh(x) if torch.is_grad_enabled() else (2 * x).sigmoid_().mul_(2).sub_(1)


def scaled(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """The product, in place of the first factor when no gradient is needed."""
    return x * factor if torch.is_grad_enabled() else x.mul_(factor)


def added(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The sum, in place of the first summand when no gradient is needed."""
    return x + y if torch.is_grad_enabled() else x.add_(y)


def added_product(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The sum x + a b, in place of the first summand when no gradient is needed."""
    return torch.addcmul(x, a, b) if torch.is_grad_enabled() else x.addcmul_(a, b)


def doubled(x_BCHW: torch.Tensor) -> torch.Tensor:
    """Double height and width bilinearly, as `F.interpolate` does; without gradients faster.

    Every second row and column lies a quarter of the way to one neighbour, the others to the other.
    A complex number holds two neighbouring columns, so that they are written side by side.

    Args:
        x_BCHW: float32, contiguous.
    """
    if torch.is_grad_enabled() or x_BCHW.dtype != torch.float32:
        return F.interpolate(x_BCHW, scale_factor=2, mode="bilinear", align_corners=False)
    b, c, h, w = x_BCHW.shape
    x = F.pad(x_BCHW, (1, 1, 1, 1), mode="replicate")
    tall = x.new_empty(b, c, h, 2, w + 2)
    for side, neighbour in enumerate((x[:, :, :-2], x[:, :, 2:])):
        torch.lerp(x[:, :, 1:-1], neighbour, 0.25, out=tall[:, :, :, side])
    tall = tall.view(b, c, 2 * h, w + 2)
    left, right = (torch.lerp(tall[..., 1:-1], t, 0.25) for t in (tall[..., :-2], tall[..., 2:]))
    return torch.view_as_real(torch.complex(left, right)).view(b, c, 2 * h, 2 * w)


def conv_shuffled(
    x_BCHW: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """Compute a convolution followed by `pixel_shuffle(2)`, at the cost of one plain copy.

    Channels that end up at the same position are computed side by side, so that they move together;
    a shuffle would move single numbers.

    Args:
        x_BCHW: features.
        weight: (4 C, c, k, k) with k odd, in the order that `pixel_shuffle` expects.
        bias: (4 C,), or None.

    Returns:
        (B, C, 2 H, 2 W).
    """
    channels = len(weight) // 4
    order = torch.arange(len(weight), device=weight.device).view(channels, 4).T.flatten()
    y = _conv_in_order(x_BCHW, weight, bias, order)
    b, _, h, w = y.shape
    y = y.permute(0, 2, 3, 1).reshape(b, h, w, 2, 2, channels).transpose(2, 3)
    return y.reshape(b, 2 * h, 2 * w, channels).permute(0, 3, 1, 2)


def conv_to_planes(
    x_BCHW: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """Compute a convolution followed by `pixel_shuffle(2)` in planes, at the cost of one copy.

    Neighbours in a row are computed side by side, and a complex number moves both.

    Args:
        x_BCHW: as for `conv_shuffled`.
        weight: alike.
        bias: alike.

    Returns:
        (B, C, 2 H, 2 W) float32, contiguous.
    """
    channels = len(weight) // 4
    order = torch.arange(len(weight), device=weight.device).view(channels, 2, 2)
    y = _conv_in_order(x_BCHW, weight, bias, order.transpose(0, 1).flatten())
    b, _, h, w = y.shape
    rows = y.permute(0, 2, 3, 1).float().contiguous()
    pairs = torch.view_as_complex(rows.view(b, h, w, 2, channels, 2))
    planes = pairs.permute(0, 4, 1, 3, 2).contiguous()
    return torch.view_as_real(planes).view(b, channels, 2 * h, 2 * w)


def _conv_in_order(
    x_BCHW: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, order: torch.Tensor
) -> torch.Tensor:
    """A convolution that preserves height and width, its output channels in another order."""
    bias = None if bias is None else bias[order]
    return F.conv2d(x_BCHW, weight[order], bias, padding=weight.shape[-1] // 2)


def conv_unshuffled(x_BCHW: torch.Tensor, conv: nn.Conv2d, *, factor: int = 2) -> torch.Tensor:
    """Compute `conv` of `pixel_unshuffle(x, factor)`; without gradients as one strided convolution.

    The strided convolution reads the image itself, which saves two passes over a rearranged copy.

    Args:
        x_BCHW: images, (B, c, f H, f W), f the factor.
        conv: a 3x3 convolution of f^2 c channels that preserves height and width.
        factor: side of the squares of pixels that become channels.

    Returns:
        (B, C, H, W), channels last.
    """
    if torch.is_grad_enabled():
        y: torch.Tensor = conv(
            F.pixel_unshuffle(x_BCHW, factor).contiguous(memory_format=torch.channels_last)
        )
        return y
    outside, inside = len(conv.weight), x_BCHW.shape[1]
    spread = conv.weight.reshape(outside, inside, factor, factor, 3, 3).permute(0, 1, 4, 2, 5, 3)
    weight = spread.reshape(outside, inside, 3 * factor, 3 * factor)
    weight = weight.contiguous(memory_format=torch.channels_last)
    x = x_BCHW.contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, weight, conv.bias, stride=factor, padding=factor)


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each position (as in NAFNet, ECCV 2022).

    It uses nothing but the position itself, so the output never depends on the tile.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Normalise features; the shape stays the same."""
        result: torch.Tensor = self.norm(x_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return result


class SpatialAttention(nn.Module):
    """Spatial attention from the mean and the maximum over channels (CBAM, ECCV 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 5, padding=2)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """One factor in (0, 2) per position, (B, 1, H, W)."""
        pooled = torch.cat([x_BCHW.mean(1, keepdim=True), x_BCHW.amax(1, keepdim=True)], 1)
        return 2 * torch.sigmoid(self.conv(pooled))


class ChannelAttention(nn.Module):
    """Channel attention: one factor in (0, 2) per channel, from a description of the whole image.

    The description is the mean of the features (squeeze and excitation, CVPR 2018). Where only a
    tile of the image is available it is a vector that describes the whole image, so that all tiles
    are treated alike and no seams can appear.
    """

    def __init__(self, channels: int, *, described_by: int | None = None) -> None:
        super().__init__()
        source = described_by or channels
        self.pool_own = described_by is None
        self.excite = nn.Sequential(
            nn.Linear(source, max(8, channels // 4)),
            nn.SiLU(),
            nn.Linear(max(8, channels // 4), channels),
        )

    def forward(self, x_BCHW: torch.Tensor, description_BC: torch.Tensor | None) -> torch.Tensor:
        """Scale each channel of the features, in place when no gradient is needed."""
        source = x_BCHW.mean((2, 3)) if self.pool_own else description_BC
        return scaled(x_BCHW, (2 * torch.sigmoid(self.excite(source)))[:, :, None, None])


class AttentionBlock(nn.Module):
    """Normalisation, two convolutions, channel and spatial attention, and a residual connection."""

    def __init__(
        self,
        channels: int,
        *,
        attention: bool,
        described_by: int | None = None,
        normalised: bool = True,
    ) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels) if normalised else nn.Identity()
        self.first = conv3(channels, channels)
        self.second = conv3(channels, channels)
        self.channel = ChannelAttention(channels, described_by=described_by) if attention else None
        self.spatial = SpatialAttention() if attention else None

    def forward(
        self, x_BCHW: torch.Tensor, description_BC: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compute features of the same shape."""
        y = self.second(silu(self.first(self.norm(x_BCHW))))
        if self.channel is not None and self.spatial is not None:
            y = self.channel(y, description_BC)
            return added(scaled(y, self.spatial(y)), x_BCHW)
        return added(y, x_BCHW)


class Down(nn.Module):
    """Halve the resolution and change the number of channels."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 2, stride=2)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Map (B, inside, H, W) to (B, outside, H/2, W/2)."""
        result: torch.Tensor = self.conv(x_BCHW)
        return result


class Up(nn.Module):
    """Double the resolution and change the number of channels."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, 4 * outside, 1)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Map (B, inside, H, W) to (B, outside, 2H, 2W)."""
        return conv_shuffled(x_BCHW, self.conv.weight, self.conv.bias)


class StructureGate(nn.Module):
    """A gate on skip connections, driven by the features of the structure module."""

    def __init__(self, channels: int, structure_channels: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(channels + structure_channels, channels, 1)
        self.add = nn.Conv2d(structure_channels, channels, 1)

    def forward(self, skip_BCHW: torch.Tensor, structure_BCHW: torch.Tensor) -> torch.Tensor:
        """Gate features; the shape is that of `skip_BCHW`."""
        structure = resize_like(structure_BCHW, skip_BCHW)
        gate = 2 * torch.sigmoid(self.gate(torch.cat([skip_BCHW, structure], 1)))
        result: torch.Tensor = skip_BCHW * gate + self.add(structure)
        return result


class SupervisedAttention(nn.Module):
    """Attention on the features for the next stage, driven by the supervised image (MPRNet)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = conv3(channels, channels)
        self.gate = nn.Conv2d(3, channels, 1)

    def forward(self, features_BCHW: torch.Tensor, image_B3HW: torch.Tensor) -> torch.Tensor:
        """Weight features by attention; the shape stays the same."""
        gate = torch.sigmoid(self.gate(resize_like(image_B3HW, features_BCHW)))
        result: torch.Tensor = features_BCHW + self.features(features_BCHW) * gate
        return result


def resize_like(x_BCHW: torch.Tensor, like_BCHW: torch.Tensor) -> torch.Tensor:
    """Resize to another tensor's height and width, by area averaging when that is smaller."""
    size = like_BCHW.shape[-2:]
    if x_BCHW.shape[-2:] == size:
        return x_BCHW
    if x_BCHW.shape[-2] > size[0]:
        return F.interpolate(x_BCHW, size=size, mode="area")
    return F.interpolate(x_BCHW, size=size, mode="bilinear", align_corners=False)
