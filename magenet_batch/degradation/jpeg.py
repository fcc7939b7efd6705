"""The loss of JPEG compression, batched in torch: block DCT, quantisation, inverse DCT."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F

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
