"""What all pages look like: the style sheet, and light or dark."""

from __future__ import annotations

from importlib import resources


def style_sheet() -> str:
    """The style sheet of every page, to stand inside it."""
    return _read("style.css")


def theme_script() -> str:
    """The script of the button that chooses light, dark, or as the system."""
    return _read("theme.js")


def _read(name: str) -> str:
    return (resources.files(__name__) / name).read_text(encoding="utf-8")
