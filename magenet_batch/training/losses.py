"""The losses by name: one number per image, averaged over its field of view."""

from __future__ import annotations

import torch
import torch.nn.functional as F

_EPSILON = 1e-3
_LEAST_DETAIL = 0.02  # sum of squared detail below which an image has no vessels to compare


def relative(loss_B: torch.Tensor, *, scale: float) -> torch.Tensor:
    """Soft logarithm s log(1 + l / s), which rewards relative improvement of an image's error.

    A plain mean is dominated by the worst images, and good ones get spoiled. Here, halving an error
    far above s counts the same whatever its size, as in decibels (compare the loss log(MSE) of
    HINet and NAFNet). Well below s it equals the plain loss.

    Args:
        loss_B: loss of each image.
        scale: s.
    """
    return scale * torch.log1p(loss_B / scale)


def charbonnier(
    x_BCHW: torch.Tensor, y_BCHW: torch.Tensor, mask_B1HW: torch.Tensor
) -> torch.Tensor:
    """sqrt(d^2 + eps^2) - eps with eps = 1e-3: a smooth absolute difference (Charbonnier 1994)."""
    distance = torch.sqrt((x_BCHW - y_BCHW).square() + _EPSILON**2) - _EPSILON
    return masked_mean(distance, mask_B1HW)


def edge(x_BCHW: torch.Tensor, y_BCHW: torch.Tensor, mask_B1HW: torch.Tensor) -> torch.Tensor:
    """Charbonnier distance between the differences of neighbouring pixels."""
    d = x_BCHW - y_BCHW
    down = torch.sqrt((d[..., 1:, :] - d[..., :-1, :]).square() + _EPSILON**2) - _EPSILON
    across = torch.sqrt((d[..., :, 1:] - d[..., :, :-1]).square() + _EPSILON**2) - _EPSILON
    m = mask_B1HW
    return masked_mean(down, m[..., 1:, :] * m[..., :-1, :]) + masked_mean(
        across, m[..., :, 1:] * m[..., :, :-1]
    )


def dissimilarity(
    x_BCHW: torch.Tensor, y_BCHW: torch.Tensor, mask_B1HW: torch.Tensor
) -> torch.Tensor:
    """1 - SSIM with a uniform window of 7 pixels; faster than, and close to, the metric."""

    def smooth(t: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(t, 7, stride=2, padding=3)

    mean_x, mean_y = smooth(x_BCHW), smooth(y_BCHW)
    var_x = smooth(x_BCHW * x_BCHW) - mean_x.square()
    var_y = smooth(y_BCHW * y_BCHW) - mean_y.square()
    covariance = smooth(x_BCHW * y_BCHW) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x.square() + mean_y.square() + c1) * (var_x + var_y + c2)
    )
    return masked_mean(1 - similarity, (smooth(mask_B1HW) > 0.99).to(similarity.dtype))


def structure_difference(
    logits_x_B1HW: torch.Tensor, logits_y_B1HW: torch.Tensor, mask_B1HW: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of one vessel map against another, minus the entropy of the latter.

    It is 0 if both agree.
    """
    wanted = torch.sigmoid(logits_y_B1HW)
    cross = F.binary_cross_entropy_with_logits(logits_x_B1HW, wanted, reduction="none")
    own = F.binary_cross_entropy_with_logits(logits_y_B1HW, wanted, reduction="none")
    return masked_mean(cross - own, mask_B1HW)


def lost_contrast(
    x_BCHW: torch.Tensor, y_BCHW: torch.Tensor, weight_B1HW: torch.Tensor
) -> torch.Tensor:
    """Squared share of the contrast of y's weighted detail that x lacks or exceeds: (B,).

    (1 - b)^2, b the slope of the regression of x's detail on y's; detail is what a box of 15 pixels
    removes. A mean squared error alone rewards estimates that shrink toward the background.
    """

    def detail(t: torch.Tensor) -> torch.Tensor:
        return t - F.avg_pool2d(t, 15, stride=1, padding=7, count_include_pad=False)

    wanted = detail(y_BCHW)
    shared = (weight_B1HW * detail(x_BCHW) * wanted).sum((1, 2, 3))
    own = (weight_B1HW * wanted.square()).sum((1, 2, 3))
    return (own > _LEAST_DETAIL) * (1 - shared / own.clamp_min(_LEAST_DETAIL)).square()


def masked_mean(x_BCHW: torch.Tensor, mask_B1HW: torch.Tensor) -> torch.Tensor:
    """Mean over channels and the pixels whose mask is 1, per image: (B,); 0 if there are none."""
    mask = mask_B1HW.expand_as(x_BCHW)
    return (x_BCHW * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3)).clamp_min(1.0)
