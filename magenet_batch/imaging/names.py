"""File names: what extensions stand for, and the format of outputs. Imports nothing heavy."""

from __future__ import annotations

from typing import Literal

OutputFormat = Literal["source", "jpeg", "png", "tiff"]

SUFFIXES: dict[str, str] = {
    ".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".jfif": "jpeg", ".mpo": "jpeg",
    ".png": "png", ".tif": "tiff", ".tiff": "tiff", ".bmp": "bmp", ".webp": "webp",
    ".jp2": "jpeg2000", ".j2k": "jpeg2000", ".j2c": "jpeg2000", ".jpx": "jpeg2000",
    ".dcm": "dicom", ".dicom": "dicom", ".dic": "dicom",
}  # fmt: skip
"""Extensions of images and the formats that they stand for."""

PHOTOGRAPHS = frozenset((".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"))
"""Extensions that training and evaluation search folders of photographs for."""

WRITTEN = ("jpeg", "png", "tiff", "jpeg2000", "dicom")
"""Formats in which outputs can be written; other sources become PNG."""

_APPENDED = {"jpeg": ".jpg", "png": ".png", "tiff": ".tif"}


def bare_name(suffix: str) -> bool:
    """Whether a name has no meaningful extension, as is common for DICOM files.

    Such names have no extension, or are identifiers whose last number looks like one.
    """
    return suffix in ("", ".") or suffix[1:].isdigit()


def suffix_to_append(suffix: str, *, wanted: OutputFormat) -> str:
    """Extension to append to a source's name to get its output's name.

    Args:
        suffix: extension of the source with its dot, in lower case.
        wanted: requested output format.

    Returns:
        Empty if the name fits, so that the output tree mirrors the archive. Otherwise an extension;
        it is appended so that `a.bmp` and `a.png` do not collide.
    """
    promised = SUFFIXES.get(suffix)
    if wanted != "source":
        return "" if promised == wanted else _APPENDED[wanted]
    return "" if promised in WRITTEN or bare_name(suffix) else ".png"


def format_to_write(source: str, *, renamed: bool, wanted: OutputFormat = "source") -> str:
    """Format in which an output is written.

    Args:
        source: format of the source's content.
        renamed: whether an extension was appended to the source's name.
        wanted: requested output format.

    Returns:
        One of `WRITTEN`. An output with the source's name keeps the format of the content, even if
        the extension is wrong: 16-bit pixels in a `.jpg` would lose half of their bits as JPEG.
    """
    if wanted != "source":
        return wanted
    return "png" if renamed or source not in WRITTEN else source
