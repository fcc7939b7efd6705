"""Colours under a wrong label: YCbCr called RGB, or RGB called YCbCr."""

from __future__ import annotations

import cv2
import numpy as np

_STEP = 4  # every fourth row and column is enough
_LIT = 0.12  # of full scale
_FEW, _MOST = 0.1, 0.8
_READ_AS_RGB = {"RGB", "YBR_ICT", "YBR_RCT"}  # the latter two outside JPEG 2000, which undoes them

LABELS = {"rgb": "RGB", "ybr": "YBR_FULL"}
"""Colour models that a user can state, and their photometric interpretations."""
OVERRIDDEN = _READ_AS_RGB | {"YBR_FULL"}
"""Photometric interpretations that a user can override."""


def to_rgb(samples: np.ndarray) -> np.ndarray:
    """Convert `YBR_FULL` samples over their full range to RGB (PS3.3, C.7.6.3.1.2)."""
    return cv2.cvtColor(np.ascontiguousarray(samples[..., [0, 2, 1]]), cv2.COLOR_YCrCb2RGB)


def doubt(samples: np.ndarray, *, label: str) -> tuple[str, ...]:
    """Judge whether three channels hold what their label says.

    Inside the field of view of a colour photograph, red leads green and green leads blue in nearly
    every eye. In YCbCr read as RGB, "blue" (Cr) leads "green" (Cb).

    Args:
        samples: `(H, W, 3)` as stored, over their full range.
        label: photometric interpretation.

    Returns:
        A note if the other colour model fits and the stated one does not; else nothing.
    """
    if label not in OVERRIDDEN:
        return ()
    few = samples[::_STEP, ::_STEP]
    as_rgb, as_ybr = _ordered(few), _ordered(to_rgb(few))
    if label in _READ_AS_RGB and as_rgb < _FEW and as_ybr > _MOST:
        return (
            f"its colours look like YCbCr labelled as {label}: check, and use --colour-model ybr",
        )
    if label == "YBR_FULL" and as_ybr < _FEW and as_rgb > _MOST:
        return ("its colours look like RGB labelled as YCbCr: check, and use --colour-model rgb",)
    return ()


def _ordered(pixels: np.ndarray) -> float:
    """Share of lit pixels in which red leads green and green leads blue."""
    lit = pixels[pixels.max(2) > _LIT * np.iinfo(pixels.dtype).max]
    red, green, blue = lit[..., 0], lit[..., 1], lit[..., 2]
    return float(((red >= green) & (green >= blue)).mean()) if len(lit) else 0.0
