"""What an output says of itself and of its source: provenance, and what is carried over.

Light on purpose: options import it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from magenet_batch import __version__

MetadataPolicy = Literal["keep", "minimal", "none"]
"""`keep` carries over all that the format can hold; `minimal` only what is needed to show the
image rightly (colour profile; in DICOM whose image of which eye it is, and how it was taken);
`none` nothing (in DICOM empty values where the standard asks for a value). The provenance is
always written."""

_SOFTWARE, _THUMBNAIL = 0x0131, 0x0201
_EXIF_IFD, _WIDTH, _HEIGHT = 0x8769, 0xA002, 0xA003
_DAMAGE = (ValueError, TypeError, KeyError, OSError, SyntaxError, struct.error, OverflowError)


@dataclass(frozen=True)
class Provenance:
    """Who enhanced an image.

    Attributes:
        weights: name of the weights.
        weights_hash: first digits of their SHA-256.
    """

    weights: str = ""
    weights_hash: str = ""

    @property
    def text(self) -> str:
        """For a software tag: printable ASCII, whatever the weights are called."""
        said = " ".join(f"weights {self.weights} {self.weights_hash}".split())
        said = "".join(c if " " <= c <= "~" else "?" for c in said)
        return f"{software()} (enhanced; {said[:160]})"


def software() -> str:
    """Our name and version."""
    return f"magenet {__version__}"


def exif_block(
    exif: bytes | None, *, software: str, width: int, height: int, longest: int | None = None
) -> bytes:
    """The source's EXIF block with our name as its software, and the size of the output.

    A block that is damaged or too long gives way: the pixels matter more.

    Args:
        exif: the source's, or None.
        software: what to write as software.
        width: of the output, px.
        height: of the output, px.
        longest: bytes that may be written.
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
    """Texts of a source's EXIF block, by tag; nothing from a damaged one."""
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
