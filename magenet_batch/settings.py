"""Constants of the whole process that belong to no single part."""

from __future__ import annotations

PROGRAM = "magenet"
DEFAULT_OUT = "out"
DEFAULT_WEIGHTS = "small"
MAX_PIXELS = 200_000_000
"""Images with more pixels are refused as `too_large`: a decompression bomb or a mistake. The
largest fundus cameras give about 50 megapixels."""
