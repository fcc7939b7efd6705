"""The look `clear`: bounded local contrast after restoration, for people who read on screens.

Contrast at the scale of vessels and lesions is raised, and the light is evened out a little, by one
gain per pixel for all three channels, so that hue and saturation are preserved. A scale that holds
only noise is not amplified: every band of the logarithm of lightness is multiplied by

    a_k m^2 / (m^2 + (c n_k)^2),    m^2 the mean square of the band around a pixel, n_k its noise

(Wiener-like coring; compare Donoho and Johnstone, Biometrika 1994). The gain stays within
exp(+-0.6).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from magenet_batch.models.restoration.bands import detail_bands

_STRENGTHS = (0.0, 0.4, 0.9, 1.3, 1.4, 1.2, 0.9, 0.6)  # a_k, fine bands first
_CORING = 2.0  # c
_EVENED = 0.45  # share of the slow unevenness of light that is removed
_MOST = 0.6  # bound of the log-gain
_WINDOW = 9  # side in pixels of the window over which the mean square of a band is taken
_DARKEST = 0.02


def clear_gain(x_13SS: torch.Tensor, mask_11SS: torch.Tensor) -> torch.Tensor:
    """Log-gain of the look `clear`.

    Args:
        x_13SS: a restored image, RGB, 0..1, continued smoothly outside the field of view.
        mask_11SS: field of view, 0 or 1.

    Returns:
        (1, 1, S, S), within +-0.6; 0 for an image without detail in even light.
    """
    light = 0.25 * x_13SS[:, :1] + 0.65 * x_13SS[:, 1:2] + 0.1 * x_13SS[:, 2:]
    bands = detail_bands(torch.log(light.clamp_min(_DARKEST)))
    gain = torch.zeros_like(light)
    for strength, band in zip(_STRENGTHS, bands.detail, strict=True):
        if strength:
            power = F.avg_pool2d(band.square(), _WINDOW, 1, _WINDOW // 2, count_include_pad=False)
            floor = (_CORING * _noise_of(band, mask_11SS)) ** 2
            gain = gain + strength * band * power / (power + floor + 1e-12)
    slow = _slow(bands.rest, mask_11SS)
    mean = (slow * mask_11SS).sum() / mask_11SS.sum().clamp_min(1)
    gain = gain + _EVENED * (mean - slow)
    return _MOST * torch.tanh(gain / _MOST)


def _noise_of(band: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Robust noise level of a band: a quantile of its magnitude inside the field of view."""
    inside = band[mask > 0].abs()
    if not len(inside):
        return band.new_zeros(())
    return torch.quantile(inside[:: max(1, len(inside) // 20_000)], 0.4) / 0.5244


def _slow(rest: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Light that varies more slowly than an eighth of the picture, inside the mask."""
    size = rest.shape[-1]
    side = max(8, size // 48)
    small, share = (F.adaptive_avg_pool2d(t, side) for t in (rest * mask, mask))
    for _ in range(3):
        small, share = (F.avg_pool2d(t, 5, 1, 2, count_include_pad=False) for t in (small, share))
    return F.interpolate(
        small / share.clamp_min(1e-3), size=(size, size), mode="bicubic", align_corners=False
    )
