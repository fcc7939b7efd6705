"""What file names promise, and which format an output is written in. Imports nothing heavy."""

from __future__ import annotations

from typing import Literal

OutputFormat = Literal["source", "jpeg", "png", "tiff"]

SUFFIXES: dict[str, str] = {
    ".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".png": "png", ".tif": "tiff",
    ".tiff": "tiff", ".bmp": "bmp", ".webp": "webp", ".jp2": "jpeg2000", ".j2k": "jpeg2000",
    ".j2c": "jpeg2000", ".jpx": "jpeg2000", ".dcm": "dicom", ".dicom": "dicom", ".dic": "dicom",
}  # fmt: skip
"""Extensions that images have, and the formats that they stand for."""

PHOTOGRAPHS = frozenset((".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"))
"""Extensions of what folders of photographs are searched for, in training and evaluation."""

WRITTEN = ("jpeg", "png", "tiff", "jpeg2000", "dicom")
"""Formats that an image keeps; others become PNG."""

_APPENDED = {"jpeg": ".jpg", "png": ".png", "tiff": ".tif"}


def bare_name(suffix: str) -> bool:
    """Whether a name says nothing of its format, as those of DICOM files often do.

    They have no extension, or are identifiers whose last number looks like one.
    """
    return suffix in ("", ".") or suffix[1:].isdigit()


def suffix_to_append(suffix: str, *, wanted: OutputFormat) -> str:
    """What an output's name needs after its source's name.

    Args:
        suffix: the source's extension with its dot, in small letters.
        wanted: the format that was asked for.

    Returns:
        Nothing where the name fits, so that the output tree mirrors the archive; else an
        extension, appended so that `a.bmp` and `a.png` stay apart.
    """
    promised = SUFFIXES.get(suffix)
    if wanted != "source":
        return "" if promised == wanted else _APPENDED[wanted]
    return "" if promised in WRITTEN or bare_name(suffix) else ".png"


def format_to_write(source: str, *, renamed: bool, wanted: OutputFormat = "source") -> str:
    """The format that an output is written in.

    Args:
        source: the format that the source's content has.
        renamed: whether an extension was appended to the source's name.
        wanted: the format that was asked for.

    Returns:
        One of `WRITTEN`. Under its own name an image keeps the format of its content, even where
        the name lies: 16-bit pixels in a `.jpg` would lose half of what they say as JPEG.
    """
    if wanted != "source":
        return wanted
    return "png" if renamed or source not in WRITTEN else source
