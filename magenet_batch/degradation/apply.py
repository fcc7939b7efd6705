"""Applying degradations: deterministic, batched, on CPU or GPU, at any resolution.

The order is that of the light: the scene is blurred by the eye and the optics; the ageing lens
absorbs blue and scatters a veil; the flash lights unevenly and leaks; dust sits on the objective;
the sensor scales, saturates and adds noise; the file is compressed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F

from magenet_batch.degradation.jpeg import jpeg_loss
from magenet_batch.degradation.params import DegradationParams

_FIELD_SIZE = 128  # smooth fields are computed on this many rows and then enlarged
_NOISE_PERIOD = 1024


def apply_degradation(
    clean_BCHW: torch.Tensor, params: Sequence[DegradationParams], *, mask_B1HW: torch.Tensor
) -> torch.Tensor:
    """Degrade a batch.

    Args:
        clean_BCHW: images, RGB, float32, 0..1.
        params: one per image.
        mask_B1HW: field of view, 0..1; outside it the images are left as they are.

    Returns:
        Degraded images of the same shape, 0..1.
    """
    x = clean_BCHW
    for step in (_blur, _yellow, _haze, _illumination, _spots, _colour, _noise, _jpeg):
        x = step(x, params)
    return torch.lerp(clean_BCHW, x.clamp(0, 1), mask_B1HW)


def _column(
    params: Sequence[DegradationParams], name: str, like: torch.Tensor, *, ndim: int = 4
) -> torch.Tensor:
    """One parameter of all images as a tensor (B, 1, 1, 1), or (B, 3, 1, 1) for a colour."""
    values = torch.tensor([getattr(p, name) for p in params], dtype=torch.float32)
    return values.to(like.device).reshape(len(params), -1, *([1] * (ndim - 2)))


def _any(params: Sequence[DegradationParams], kind: str) -> bool:
    return any(kind in p.kinds() for p in params)


def _blur(x: torch.Tensor, params: Sequence[DegradationParams]) -> torch.Tensor:
    """Gaussian blur as two matrix products, each image with its own standard deviation."""
    if not _any(params, "blur"):
        return x
    chosen = [i for i, p in enumerate(params) if p.blur_sigma > 0]
    height, width = x.shape[-2:]
    sigma = _column([params[i] for i in chosen], "blur_sigma", x, ndim=3) * height
    rows = _gaussian_matrix(height, sigma)
    columns = rows if width == height else _gaussian_matrix(width, sigma)
    x = x.clone()
    x[chosen] = rows[:, None] @ x[chosen] @ columns[:, None].mT
    return x


def _gaussian_matrix(size: int, sigma: torch.Tensor) -> torch.Tensor:
    """Rows of normalised Gaussians, (B, size, size); sigma (B, 1, 1) in pixels, 0 is identity."""
    at = torch.arange(size, device=sigma.device, dtype=torch.float32)
    distance = (at[:, None] - at[None, :]).square()
    weights = torch.exp(-distance / (2 * sigma.clamp_min(1e-3).square()))
    return weights / weights.sum(-1, keepdim=True)


def _yellow(x: torch.Tensor, params: Sequence[DegradationParams]) -> torch.Tensor:
    """Beer-Lambert absorption of the ageing lens: strong in blue, slight in green."""
    if not _any(params, "yellow"):
        return x
    density = torch.tensor([0.02, 0.16, 0.9], device=x.device).view(1, 3, 1, 1)
    return x * torch.exp(-density * _column(params, "yellow", x))


def _haze(x: torch.Tensor, params: Sequence[DegradationParams]) -> torch.Tensor:
    """Koschmieder's veil: x t + A (1 - t), with transmission t that varies slowly."""
    if not _any(params, "haze"):
        return x
    density = _column(params, "haze_strength", x) * _bump(x, params)
    return torch.lerp(x, _column(params, "haze_rgb", x).expand_as(x), density)


def _bump(x: torch.Tensor, params: Sequence[DegradationParams]) -> torch.Tensor:
    def field(rows: torch.Tensor, columns: torch.Tensor, aspect: float) -> torch.Tensor:
        distance = _distance(rows, columns, aspect, params, "haze", x)
        return torch.exp(-(distance.square()) / (2 * _column(params, "haze_spread", x).square()))

    return _smooth_field(x, field)


def _illumination(x: torch.Tensor, params: Sequence[DegradationParams]) -> torch.Tensor:
    """One-sided light, the annulus of leaked light and the disc of uneven exposure."""
    if _any(params, "gradient"):
        angle = _column(params, "gradient_angle", x)

        def slope(rows: torch.Tensor, columns: torch.Tensor, aspect: float) -> torch.Tensor:
            along = (columns - 0.5) * torch.cos(angle) + (rows - 0.5) * torch.sin(angle)
            return torch.sigmoid(6 * along)

        x = x * (1 - _column(params, "gradient_strength", x) * _smooth_field(x, slope))
    if _any(params, "halo"):
        x = x + _leak(x, params)
    if _any(params, "hole"):
        x = x + _hole(x, params)
    return x.clamp(0, 1)


def _leak(x: torch.Tensor, params: Sequence[DegradationParams]) -> torch.Tensor:
    def annulus(rows: torch.Tensor, columns: torch.Tensor, aspect: float) -> torch.Tensor:
        distance = _distance(rows, columns, aspect, params, "halo", x)
        off_crest = (distance - _column(params, "halo_radius", x)) / _column(
            params, "halo_width", x
        )
        return torch.exp(-0.5 * off_crest.square())

    strength = _column(params, "halo_strength", x) * _column(params, "halo_rgb", x)
    return strength * _smooth_field(x, annulus)


def _hole(x: torch.Tensor, params: Sequence[DegradationParams]) -> torch.Tensor:
    def disc(rows: torch.Tensor, columns: torch.Tensor, aspect: float) -> torch.Tensor:
        radius = _column(params, "hole_radius", x)
        edge = (radius * _column(params, "hole_softness", x) / 4).clamp_min(1e-3)
        return torch.sigmoid((radius - _distance(rows, columns, aspect, params, "hole", x)) / edge)

    # Dark holes take light away in proportion to what is there; bright ones add to it.
    strength = _column(params, "hole_strength", x) * _smooth_field(x, disc)
    return torch.where(strength < 0, 2 * strength * x, strength)


def _distance(
    rows: torch.Tensor,
    columns: torch.Tensor,
    aspect: float,
    params: Sequence[DegradationParams],
    of: str,
    like: torch.Tensor,
) -> torch.Tensor:
    """Distance from the centre of a halo, a hole or a veil in fractions of the height."""
    dx = (columns - _column(params, f"{of}_x", like)) * aspect
    dy = rows - _column(params, f"{of}_y", like)
    return torch.sqrt(dx.square() + dy.square() + 1e-12)


def _smooth_field(x: torch.Tensor, of) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """Evaluate a slow function of position on a coarse grid and enlarge it: (B, 1, H, W)."""
    height, width = x.shape[-2:]
    h = min(_FIELD_SIZE, height)
    w = max(1, round(h * width / height))
    rows = ((torch.arange(h, device=x.device) + 0.5) / h).view(1, 1, h, 1)
    columns = ((torch.arange(w, device=x.device) + 0.5) / w).view(1, 1, 1, w)
    coarse = of(rows, columns, width / height)
    return F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)


def _spots(x: torch.Tensor, params: Sequence[DegradationParams]) -> torch.Tensor:
    """Gaussian spots; a Gaussian is separable, so all of an image's spots are one product."""
    if not _any(params, "spots"):
        return x
    height, width = x.shape[-2:]
    most = max(len(p.spots) for p in params)
    table = torch.zeros(len(params), most, 4)
    table[..., 2] = 1.0
    for i, p in enumerate(params):
        for j, spot in enumerate(p.spots):
            table[i, j] = torch.tensor([spot.x, spot.y, spot.radius, spot.amplitude])
    at_x, at_y, radius, amplitude = table.to(x.device).unbind(-1)
    sigma = radius[..., None] / 2
    rows = (torch.arange(height, device=x.device) + 0.5) / height
    columns = (torch.arange(width, device=x.device) + 0.5) / width
    up = torch.exp(-0.5 * ((rows - at_y[..., None]) / sigma).square()) * amplitude[..., None]
    aspect = width / height
    across = torch.exp(-0.5 * ((columns - at_x[..., None]) * aspect / sigma).square())
    return (x + (up.mT @ across)[:, None]).clamp(0, 1)


def _colour(x: torch.Tensor, params: Sequence[DegradationParams]) -> torch.Tensor:
    """Brightness, contrast about the mean lightness, saturation about grey; the sensor clips."""
    if not _any(params, "colour"):
        return x
    x = x * _column(params, "brightness", x)
    mean = _grey(x).mean((-2, -1), keepdim=True)
    x = mean + (x - mean) * _column(params, "contrast", x)
    grey = _grey(x)
    return (grey + (x - grey) * _column(params, "saturation", x)).clamp(0, 1)


def _grey(x: torch.Tensor) -> torch.Tensor:
    """ITU-R BT.601 luma, (B, 1, H, W)."""
    return 0.299 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:3]


def _noise(x: torch.Tensor, params: Sequence[DegradationParams]) -> torch.Tensor:
    """Read and shot noise of a sensor.

    Its standard deviation grows with the resolution, so that an image reduced to 512 px always
    shows the same noise.
    """
    if not _any(params, "noise"):
        return x
    chosen = [i for i, p in enumerate(params) if "noise" in p.kinds()]
    noisy = [params[i] for i in chosen]
    height, width = x.shape[-2:]
    clean = x[chosen]
    variance = _column(noisy, "noise_read", x).square() + _column(noisy, "noise_shot", x) * clean
    bank = _noise_bank(str(x.device))
    noise = torch.stack([_noise_window(bank, p.noise_seed, height, width) for p in noisy])
    x = x.clone()
    x[chosen] = (clean + noise * variance.sqrt() * (height / 512)).clamp(0, 1)
    return x


@lru_cache(maxsize=2)
def _noise_bank(device: str) -> torch.Tensor:
    """Standard normal values (3, period, period), the same on every device."""
    generator = torch.Generator().manual_seed(20230214)
    return torch.randn(3, _NOISE_PERIOD, _NOISE_PERIOD, generator=generator).to(device)


def _noise_window(bank: torch.Tensor, seed: int, height: int, width: int) -> torch.Tensor:
    """A window of the periodic bank whose place the seed picks: (3, height, width)."""
    rows = (seed + torch.arange(height, device=bank.device)) % _NOISE_PERIOD
    columns = (seed // _NOISE_PERIOD + torch.arange(width, device=bank.device)) % _NOISE_PERIOD
    return bank[:, rows[:, None], columns]


def _jpeg(x: torch.Tensor, params: Sequence[DegradationParams]) -> torch.Tensor:
    chosen = [i for i, p in enumerate(params) if p.jpeg_quality > 0]
    if not chosen:
        return x
    quality = torch.tensor([params[i].jpeg_quality for i in chosen], device=x.device)
    x = x.clone()
    x[chosen] = jpeg_loss(x[chosen], quality)
    return x
