"""Statistics of bands that tell blur, noise and compression apart, of a whole image or a crop."""

from __future__ import annotations

import torch

from magenet_batch.models.restoration.bands import BANDS, Bands

_N = 3 * BANDS
_FINE = 3  # bands in which signal-dependent noise shows
STATISTICS = _N * (_N - 1) // 2 + 4 * _N + 3 * _FINE + 6
_ENOUGH = 320  # pixels across; statistics of larger images use every other pixel
_POWER, _SIZE, _ROOT = 1e-9, 1e-5, 1e-3  # small enough to count as zero: (1/255)^2 / 15000


def statistics_of(bands: Bands, inner_B1HW: torch.Tensor) -> torch.Tensor:
    """Statistics of whole images; larger ones are described by every other pixel.

    Args:
        bands: output of `detail_bands`.
        inner_B1HW: 1 well inside the field of view, else 0.

    Returns:
        (B, `STATISTICS`) float32.
    """
    every = 2 if min(bands.rest.shape[-2:]) >= _ENOUGH else 1
    if inner_B1HW.device.type == "cpu" and not torch.is_grad_enabled():
        ones = zip(bands.stacked, bands.rest, inner_B1HW, strict=True)
        return torch.cat([_of_one(*one, every=every) for one in ones])
    return band_statistics(bands.every(every), inner_B1HW[..., ::every, ::every])


def _of_one(
    stacked: torch.Tensor, rest: torch.Tensor, inner_1HW: torch.Tensor, *, every: int
) -> torch.Tensor:
    """The statistics of one image, from the pixels that count: faster than to multiply by 0."""
    used = torch.zeros_like(inner_1HW[0], dtype=torch.bool)
    used[::every, ::every] = inner_1HW[0, ::every, ::every] > 0
    at = torch.nonzero(used.flatten())[:, 0]
    f, light = (t.flatten(1).index_select(1, at)[None].float() for t in (stacked, rest))
    return _described(f, light, f.new_ones(1, 1, len(at)))


def band_statistics(bands: Bands, mask_B1HW: torch.Tensor) -> torch.Tensor:
    """Describe images by the distribution of their bands and the correlations between them.

    The statistics are the power of each band, the correlations between bands and channels, three
    more moments of each band (which tell a few sharp edges from many dull ones), the growth of the
    finest bands with brightness, and the brightness itself.

    Args:
        bands: output of `detail_bands`.
        mask_B1HW: 1 at the pixels to use, well inside the field of view; at least one per image.

    Returns:
        (B, `STATISTICS`) float32.
    """
    mask = mask_B1HW.flatten(2).float()
    return _described(
        bands.stacked.flatten(2).float() * mask, bands.rest.flatten(2).float() * mask, mask
    )


def _described(f: torch.Tensor, light: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The statistics of bands (B, `_N`, P) and of what is left, (B, 3, P); 0 where the mask is."""
    count = mask.sum(2).clamp_min(1)
    covariance = f @ f.mT / count[..., None]
    power = covariance.diagonal(dim1=1, dim2=2) + _POWER
    correlations = covariance / torch.sqrt(power[:, :, None] * power[:, None, :])
    rows, columns = torch.triu_indices(_N, _N, 1, device=f.device)
    tails = torch.linalg.vector_norm(f * f, dim=2).square() / count / power.square()
    mean = light.sum(2) / count
    apart = (light - mean[..., None]) * mask
    spread = torch.sqrt(apart.square().sum(2) / count + _POWER)
    f = f.abs()
    size = f.sum(2) / count
    shape = (len(f), _FINE, 3)
    fine = f[:, : 3 * _FINE].view(*shape, -1) * apart[:, None]
    grows = fine.sum(3) / count[..., None] / spread[:, None]
    level = size[:, : 3 * _FINE].view(shape) + _SIZE
    return torch.cat(
        [
            torch.log(power),
            correlations[:, rows, columns],
            torch.log(size + _SIZE),
            torch.log(torch.sqrt(f).sum(2) / count + _ROOT),
            torch.log(tails + 1),
            (grows / level).flatten(1),
            mean,
            spread,
        ],
        1,
    )
