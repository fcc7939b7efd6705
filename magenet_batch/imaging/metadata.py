"""Metadata of outputs: provenance, and what is carried over from the source.

Light on purpose: the options import it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from magenet_batch import __version__

MetadataPolicy = Literal["keep", "minimal", "none"]
"""`keep` carries over everything that the format can hold; `minimal` only what is needed to show
the image correctly (the colour profile; in DICOM also which eye it shows, of whom, and how it was
taken); `none` nothing (in DICOM, empty values where the standard requires an attribute). The
provenance is always written."""

_SOFTWARE, _THUMBNAIL = 0x0131, 0x0201
_EXIF_IFD, _WIDTH, _HEIGHT = 0x8769, 0xA002, 0xA003
_DAMAGE = (ValueError, TypeError, KeyError, OSError, SyntaxError, struct.error, OverflowError)


@dataclass(frozen=True)
class Provenance:
    """What enhanced an image.

    Attributes:
        weights: name of the weights.
        weights_hash: first digits of the SHA-256 of the weights file.
    """

    weights: str = ""
    weights_hash: str = ""

    @property
    def text(self) -> str:
        """Text for a software tag: printable ASCII, whatever the name of the weights."""
        said = " ".join(f"weights {self.weights} {self.weights_hash}".split())
        said = "".join(c if " " <= c <= "~" else "?" for c in said)
        return f"{software()} (enhanced; {said[:160]})"


def software() -> str:
    """Name and version of this software."""
    return f"magenet {__version__}"


def exif_block(
    exif: bytes | None, *, software: str, width: int, height: int, longest: int | None = None
) -> bytes:
    """Copy the source's EXIF block with this software's name and the size of the output.

    A block that is damaged or too long is dropped: the pixels matter more.

    Args:
        exif: EXIF block of the source, or None.
        software: text of the software tag.
        width: width of the output, pixels.
        height: height of the output, pixels.
        longest: maximum length, bytes.
    """
    from PIL import Image

    if exif:
        block = Image.Exif()
        try:
            block.load(exif)
            block[_SOFTWARE] = software
            inner = block.get_ifd(_EXIF_IFD)
            for tag, value in ((_WIDTH, width), (_HEIGHT, height)):
                if tag in inner:
                    inner[tag] = value
            content = block.tobytes()
        except _DAMAGE:
            content = b""
        if content and (longest is None or len(content) <= longest):
            return content
    block = Image.Exif()
    block[_SOFTWARE] = software
    return block.tobytes()


def exif_text(exif: bytes | None, tags: tuple[int, ...]) -> dict[int, str]:
    """Texts in a source's EXIF block, by tag; empty if it is damaged."""
    from PIL import Image

    if not exif:
        return {}
    block = Image.Exif()
    try:
        block.load(exif)
        found = {tag: block.get(tag) for tag in tags}
    except _DAMAGE:
        return {}
    return {
        tag: text.split("\0")[0] for tag, text in found.items() if isinstance(text, str) and text
    }
