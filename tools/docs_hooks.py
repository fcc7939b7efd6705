"""Hooks of the documentation site: pages from the top of the repository, and outgoing links.

README, contributing guide and changelog become pages of the site. A link to a file of the
repository that is not a page is replaced by the name of the file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

_ROOT = Path(__file__).resolve().parent.parent
_PAGES = {
    "README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md",
}  # fmt: skip
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s:]+)(#[^)]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages from the top of the repository."""
    for source, page in _PAGES.items():
        text = (_ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Rewrite links for the site."""

    def led(match: re.Match[str]) -> str:
        text, target, anchor = match.groups()
        name = target.removeprefix("../")
        if name in _PAGES:
            return f"[{text}]({'../' * page.file.src_uri.count('/')}{_PAGES[name]}{anchor or ''})"
        if (_ROOT / name).exists() and not (_ROOT / "docs" / name).exists():
            return text if text == name else f"{text} (`{name}`)"
        return match.group(0)

    return _LINK.sub(led, markdown)
