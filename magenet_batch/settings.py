"""Constants of the whole process that belong to no single part."""

from __future__ import annotations

from typing import Literal

PROGRAM = "magenet"
DEFAULT_OUT = "out"
DEFAULT_WEIGHTS = "small"
OriginalAction = Literal["copy", "link", "omit"]
"""What becomes of images that are left as they are."""
GreyAction = Literal["keep", "enhance"]
"""What becomes of grey photographs: delivered as they came, or enhanced in grey."""
MAX_PIXELS = 200_000_000
"""Images with more pixels are refused as `too_large`: a decompression bomb or a mistake. The
largest fundus cameras give about 50 megapixels."""

Look = Literal["natural", "clear"]
"""`natural` is what was there; `clear` raises local contrast after restoration, for screens."""
