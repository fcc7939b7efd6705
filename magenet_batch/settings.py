"""Constants that several layers share."""

from __future__ import annotations

from typing import Literal

PROGRAM = "magenet"
DEFAULT_OUT = "out"
DEFAULT_WEIGHTS = "small"
OriginalAction = Literal["copy", "link", "omit"]
"""What to do with originals that are not enhanced."""
GreyAction = Literal["keep", "enhance"]
"""What to do with grey photographs: deliver them as they came, or enhance them in grey."""
ColourModel = Literal["rgb", "ybr"]
"""What the three channels of a DICOM image hold, where its label is wrong."""
DicomSyntax = Literal["explicit", "rle", "jpeg2000"]
"""How pixels of DICOM outputs are stored: uncompressed, or compressed without loss."""
Deidentify = Literal["none", "basic"]
"""De-identification of outputs: none, or the basic profile of DICOM PS3.15."""
MAX_PIXELS = 200_000_000
"""Maximum number of pixels; larger images are refused as `too_large`. The largest fundus cameras
produce about 50 megapixels."""

Sidecar = Literal["none", "json"]
"""Files beside the images that hold their rows."""

Look = Literal["natural", "clear"]
"""`natural` restores what was there; `clear` also raises local contrast afterwards."""
