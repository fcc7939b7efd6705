"""Read and shot noise of a sensor, white or correlated as demosaicing leaves it.

`x + n sqrt(read^2 + shot x) g`, n normal with variance 1 at 512 px: the variance is that of an
affine Poisson-Gaussian sensor (Foi et al., IEEE TIP 2008). The gain g grows with the resolution, so
that an image reduced to 512 px always shows the same noise: `g = H / 512` for white n.

Demosaicing interpolates, so that neighbours and channels share noise. n is then white noise
filtered by a Gaussian kernel k of standard deviation `length / 2` pixels at 512 px, whose
autocorrelation falls to 1/e over `length` pixels; the share `shared` of its variance is common to
all channels. The gain is `g = (H / 512) |k_H| / |k_512|`, |k| the root of the sum of squares, so
that low frequencies look the same at every resolution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from magenet_batch.degradation.kinds.base import NOT_NEGATIVE, SHARE, Kind, column, span

PERIOD = 1024
REFERENCE_HEIGHT = 512


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Fields of `noise`.

    Attributes:
        noise_read: signal-independent noise at 512 px height, standard deviation for a range of
            0..1.
        noise_shot: signal-dependent noise: variance per unit of signal, at 512 px height.
        noise_seed: selects the noise pattern.
        noise_length: distance in pixels at 512 px height over which the autocorrelation falls to
            1/e; 0 is white.
        noise_shared: share of the variance that all channels have in common, 0..1.
    """

    noise_read: float = 0.0
    noise_shot: float = 0.0
    noise_seed: int = 0
    noise_length: float = 0.0
    noise_shared: float = 0.0


def _sample(rng: np.random.Generator, severity: float) -> Noise:
    return Noise(
        noise_read=span(rng, severity, 0.002, 0.03),
        noise_shot=span(rng, severity, 0.0, 0.0012),
        noise_seed=int(rng.integers(0, 2**31)),
    )


def _camera(rng: np.random.Generator, severity: float) -> Noise:
    # One image in four has white noise: a sensor with three layers, or a large image that was
    # reduced.
    white = rng.random() < 0.25
    return Noise(
        noise_read=span(rng, severity, 0.002, 0.03),
        noise_shot=span(rng, severity, 0.0, 0.0012),
        noise_seed=int(rng.integers(0, 2**31)),
        noise_length=0.0 if white else float(rng.uniform(0.4, 2.4)),
        noise_shared=float(rng.uniform(0.0, 0.6)),
    )


def _present(p: Noise) -> bool:
    return p.noise_read > 0 or p.noise_shot > 0


def _apply(x: torch.Tensor, params: Sequence[Noise], height: int) -> torch.Tensor:
    chosen = [i for i, p in enumerate(params) if _present(p)]
    noisy = [params[i] for i in chosen]
    clean = x[chosen]
    variance = column(noisy, "noise_read", x).square() + column(noisy, "noise_shot", x) * clean
    noise = torch.stack([_unit_noise(p, clean, height) for p in noisy])
    x = x.clone()
    x[chosen] = clean + noise * variance.sqrt() * (height / REFERENCE_HEIGHT)
    return x


def _unit_noise(p: Noise, like: torch.Tensor, height: int) -> torch.Tensor:
    """Noise of variance 1 at 512 px, (3, H, W)."""
    taps, gain = noise_taps(p, height=height)
    bank = noise_bank(str(like.device))
    noise = mixed(_window(bank, p.noise_seed, like.shape, len(taps) // 2), p.noise_shared)
    if len(taps) > 1:
        kernel = torch.from_numpy(taps).to(noise) * math.sqrt(gain)
        noise = F.conv2d(
            F.conv2d(noise[:, None], kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1)
        )
        noise = noise[:, 0]
    return noise


def noise_taps(p: Noise, *, height: int) -> tuple[np.ndarray, float]:
    """One dimension of the kernel, sum 1, and the gain to apply after both dimensions.

    Without correlation that is a single tap and the gain 1.
    """
    if p.noise_length == 0:
        return np.ones(1), 1.0
    at_reference = _integrated_gaussian(p.noise_length / 2)
    taps = _integrated_gaussian(p.noise_length / 2 * height / REFERENCE_HEIGHT)
    return taps, 1 / float((at_reference**2).sum())


def _integrated_gaussian(sigma: float) -> np.ndarray:
    """A Gaussian integrated over pixels, cut at four standard deviations: (n,), n odd, sum 1."""
    reach = max(1, math.ceil(4 * sigma))
    scale = 1 / (max(sigma, 1e-6) * math.sqrt(2))
    below = np.array([math.erf((i - 0.5) * scale) for i in range(-reach, reach + 2)])
    taps = np.diff(below)
    result: np.ndarray = taps / taps.sum()
    return result


@lru_cache(maxsize=2)
def noise_bank(device: str) -> torch.Tensor:
    """Standard normal values (4, period, period), the same on every device.

    The first three planes are the channels' own noise, the last is the noise that they share.
    """
    generator = torch.Generator().manual_seed(20230214)
    own = torch.randn(3, PERIOD, PERIOD, generator=generator)
    return torch.cat([own, torch.randn(1, PERIOD, PERIOD, generator=generator)]).to(device)


def _window(bank: torch.Tensor, seed: int, shape: torch.Size, margin: int) -> torch.Tensor:
    """A window (4, H + 2 margin, W + 2 margin) of the periodic bank, placed by the seed."""
    rows = torch.from_numpy(bank_places(seed, shape[-2], margin)).to(bank.device)
    columns = torch.from_numpy(bank_places(seed // PERIOD, shape[-1], margin)).to(bank.device)
    return bank[:, rows[:, None], columns]


def bank_places(first: int, count: int, margin: int) -> np.ndarray:
    """Indices into the periodic bank, from `margin` before the first to `margin` after the last."""
    return (first + np.arange(-margin, count + margin)) % PERIOD


def mixed(noise: torch.Tensor, shared: float) -> torch.Tensor:
    """Combine each channel's own noise with the shared noise into three channels of variance 1."""
    if shared == 0:
        return noise[:3]
    return noise[:3] * math.sqrt(1 - shared) + noise[3:] * math.sqrt(shared)


KIND = Kind(
    name="noise",
    place=90,
    present=_present,
    sample=_sample,
    camera=_camera,
    apply=_apply,
    losses=lambda p: (8 * p.noise_read,),
    limits={
        "noise_read": NOT_NEGATIVE, "noise_shot": NOT_NEGATIVE, "noise_seed": (0, 2**62),
        "noise_length": (0.0, 64.0), "noise_shared": SHARE,
    },
    clips=True,
    whole=False,
)  # fmt: skip
