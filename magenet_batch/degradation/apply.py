"""Apply degradations: deterministic, batched, on CPU or GPU, at any resolution.

The order is that of the light path: the eye and the optics blur the scene; the ageing lens absorbs
blue and scatters a veil; the flash lights unevenly and leaks; dust sits on the objective; the
sensor scales, saturates and adds noise; the file is compressed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from magenet_batch.degradation.params import DegradationParams
from magenet_batch.degradation.registry import WAY_OF_LIGHT


def apply_degradation(
    clean_BCHW: torch.Tensor,
    params: Sequence[DegradationParams],
    *,
    mask_B1HW: torch.Tensor,
    height: int | None = None,
) -> torch.Tensor:
    """Degrade a batch of images.

    Args:
        clean_BCHW: images, RGB, float32, 0..1.
        params: parameters of the degradation, one per image.
        mask_B1HW: field of view, 0..1; outside it the images do not change.
        height: height in pixels of the pictures that the images are crops of; None if the images
            are whole.

    Returns:
        Degraded images of the same shape, 0..1.

    Raises:
        ValueError: the number of parameters is not the number of images, or a crop is given a kind
            of degradation that depends on the whole picture.
    """
    if len(params) != len(clean_BCHW):
        raise ValueError(f"{len(clean_BCHW)} images, but {len(params)} sets of parameters")
    if height is not None:
        for p in params:
            check_for_crop(p, height=height)
    x = clean_BCHW
    for kind in WAY_OF_LIGHT:
        if any(kind.present(p) for p in params):
            x = kind.apply(x, params, height or x.shape[-2])
        if kind.clips:
            x = x.clamp(0, 1)
    return torch.lerp(clean_BCHW, x.clamp(0, 1), mask_B1HW)


def check_for_crop(params: DegradationParams, *, height: int) -> None:
    """Check that a degradation can be applied to a crop.

    Args:
        params: parameters of the degradation.
        height: height of the whole picture, pixels.

    Raises:
        ValueError: the height is not positive, or a kind has a position in the picture or needs its
            mean.
    """
    if height < 1:
        raise ValueError(
            f"height is {height}; it must be the height of the whole picture in pixels"
        )
    for kind in WAY_OF_LIGHT:
        if kind.whole and kind.present(params):
            possible = ", ".join(k.name for k in WAY_OF_LIGHT if not k.whole)
            raise ValueError(
                f"a crop cannot be degraded with '{kind.name}', which depends on the whole "
                f"picture; crops support {possible}"
            )
