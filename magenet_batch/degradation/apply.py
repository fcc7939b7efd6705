"""Applying degradations: deterministic, batched, on CPU or GPU, at any resolution.

The order is that of the light: the scene is blurred by the eye and the optics; the ageing lens
absorbs blue and scatters a veil; the flash lights unevenly and leaks; dust sits on the objective;
the sensor scales, saturates and adds noise; the file is compressed.
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
    """Degrade a batch.

    Args:
        clean_BCHW: images, RGB, float32, 0..1.
        params: one per image.
        mask_B1HW: field of view, 0..1; outside it the images are left as they are.
        height: rows of the pictures that these are crops of; without it they are whole.

    Returns:
        Degraded images of the same shape, 0..1.

    Raises:
        ValueError: if there is not one set of parameters per image, or if a crop shall have a kind
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
    """Refuse what only a whole picture can have.

    Raises:
        ValueError: if the height is none, or a kind has a place in the picture or needs its mean.
    """
    if height < 1:
        raise ValueError(f"height is {height}; it must be that of the whole picture, in pixels")
    for kind in WAY_OF_LIGHT:
        if kind.whole and kind.present(params):
            possible = ", ".join(k.name for k in WAY_OF_LIGHT if not k.whole)
            raise ValueError(
                f"a crop cannot be degraded with '{kind.name}', which depends on the whole "
                f"picture; a crop can have {possible}"
            )
