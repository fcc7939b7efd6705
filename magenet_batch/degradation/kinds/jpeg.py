"""The loss of JPEG compression, by formula or by an encoder.

The coder `dct` is the formula, batched in torch: block DCT, quantised by the tables of ITU-T T.81,
inverse DCT, without subsampling and without rounding to integers between steps. The other coders
write and read a file in memory with libjpeg, as cameras and archives do, with chroma at full
resolution (4:4:4), halved in width (4:2:2) or halved in both directions (4:2:0).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from magenet_batch.degradation.kinds.base import Kind, span

# ITU-T T.81, Annex K, tables K.1 (luminance) and K.2 (chrominance).
_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *([99] * 32),
)  # fmt: skip
# JFIF: R'G'B' to Y'CbCr.
_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_SAMPLING = {
    "libjpeg-444": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "libjpeg-422": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "libjpeg-420": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
}
_BEST, _RANGE = 95, 70.0  # best quality that is drawn, and its distance from the worst
CODERS = ("dct", *_SAMPLING)


@dataclass(frozen=True, kw_only=True)
class Jpeg:
    """Fields of `jpeg`.

    Attributes:
        jpeg_quality: 1..100, 0 for no compression.
        jpeg_coder: `dct`, or `libjpeg-444`, `libjpeg-422`, `libjpeg-420`: a file with that chroma.
    """

    jpeg_quality: int = 0
    jpeg_coder: str = "dct"


def compression(p: Jpeg) -> float:
    """Position of the quality between the best (0) and the worst (1) that is drawn."""
    return (_BEST - p.jpeg_quality) / _RANGE if p.jpeg_quality else 0.0


def _sample(rng: np.random.Generator, severity: float) -> Jpeg:
    return Jpeg(jpeg_quality=round(_BEST - span(rng, severity, 0.0, _RANGE)))


def _camera(rng: np.random.Generator, severity: float) -> Jpeg:
    # Most cameras and programs halve chroma in both directions.
    coder = rng.choice(tuple(_SAMPLING), p=(0.25, 0.25, 0.5))
    return Jpeg(
        jpeg_quality=round(_BEST - span(rng, severity, 0.0, _RANGE)),
        jpeg_coder=str(coder),
    )


def _apply(x: torch.Tensor, params: Sequence[Jpeg], height: int) -> torch.Tensor:
    compressed = [i for i, p in enumerate(params) if p.jpeg_quality > 0]
    by_formula = [i for i in compressed if params[i].jpeg_coder == "dct"]
    x = x.clone()
    if by_formula:
        quality = torch.tensor([params[i].jpeg_quality for i in by_formula], device=x.device)
        x[by_formula] = jpeg_loss(x[by_formula], quality)
    for i in compressed:
        if i not in by_formula:
            pixels = x[i].detach().permute(1, 2, 0).cpu().numpy()
            coded = jpeg_file(pixels, quality=params[i].jpeg_quality, coder=params[i].jpeg_coder)
            x[i] = torch.from_numpy(coded).permute(2, 0, 1).to(x)
    return x


def jpeg_file(pixels: np.ndarray, *, quality: int, coder: str) -> np.ndarray:
    """Write and read a JPEG file in memory.

    Args:
        pixels: (H, W, 3) RGB, float32, 0..1.
        quality: 1..100.
        coder: one of `CODERS` other than `dct`.

    Returns:
        An array of the same shape and dtype, with 8-bit values scaled to 0..1.

    Raises:
        ValueError: libjpeg cannot write an image of this size.
    """
    rounded = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    options = [
        cv2.IMWRITE_JPEG_QUALITY, int(quality),
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _SAMPLING[coder],
    ]  # fmt: skip
    written, data = cv2.imencode(".jpg", cv2.cvtColor(rounded, cv2.COLOR_RGB2BGR), options)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if written else None
    if decoded is None:
        raise ValueError(f"libjpeg cannot write an image of {pixels.shape[1]} x {pixels.shape[0]}")
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.float32) / 255


@lru_cache(maxsize=8)
def _constants(device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The DCT-II matrix (8, 8), the tables (3, 8, 8) and the colour matrix (3, 3) on a device."""
    n = torch.arange(8, dtype=torch.float64)
    dct = torch.cos((2 * n[None, :] + 1) * n[:, None] * math.pi / 16) / 2
    dct[0] /= math.sqrt(2)
    luma = torch.tensor(_LUMA, dtype=torch.float32).reshape(8, 8)
    chroma = torch.tensor(_CHROMA, dtype=torch.float32).reshape(8, 8)
    tables = torch.stack([luma, chroma, chroma])
    return dct.float().to(device), tables.to(device), torch.tensor(_YCC, device=device)


def jpeg_loss(x_BCHW: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """Compress and decompress, 4:4:4, with the quality scaling of the IJG library.

    Args:
        x_BCHW: images, RGB, 0..1.
        quality: (B,) 1..100.

    Returns:
        Images of the same shape, 0..1.
    """
    dct, tables, ycc = _constants(str(x_BCHW.device))
    height, width = x_BCHW.shape[-2:]
    x = F.pad(x_BCHW, (0, -width % 8, 0, -height % 8), mode="replicate")
    b, _, h, w = x.shape
    q = quality.to(x).clamp(1, 100)
    scale = torch.where(q < 50, 5000 / q, 200 - 2 * q).view(b, 1, 1, 1)
    steps = ((tables[None] * scale + 50) / 100).floor().clamp(1, 255).view(b, 3, 1, 1, 8, 8)

    y = torch.einsum("ij,bjhw->bihw", ycc, x) * 255
    y[:, 0] -= 128
    blocks = y.view(b, 3, h // 8, 8, w // 8, 8).transpose(3, 4)
    coefficients = dct @ blocks @ dct.T
    blocks = dct.T @ ((coefficients / steps).round() * steps) @ dct
    y = blocks.transpose(3, 4).reshape(b, 3, h, w)
    y[:, 0] += 128
    x = torch.einsum("ij,bjhw->bihw", torch.linalg.inv(ycc), y / 255)
    return x[..., :height, :width].clamp(0, 1)


KIND = Kind(
    name="jpeg",
    place=100,
    present=lambda p: p.jpeg_quality > 0,
    sample=_sample,
    camera=_camera,
    apply=_apply,
    losses=lambda p: (0.25 * compression(p),),
    limits={"jpeg_quality": (0, 100)},
    choices={"jpeg_coder": CODERS},
    whole=False,
)
