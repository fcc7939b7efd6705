"""Help texts, messages, docstrings and pages are plain English: old phrases do not come back."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "magenet_batch"
PAGES = [
    *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb"),
    *(ROOT / "recipes").glob("*.toml"), *PACKAGE.rglob("*.html"), *PACKAGE.rglob("*.js"),
    *PACKAGE.rglob("*.md"), ROOT / "Makefile", ROOT / "Dockerfile", ROOT / "mkdocs.yml",
]  # fmt: skip
SCRIPTS = ("benchmarks", "studies", "tools")
MODULES = sorted(
    [*PACKAGE.rglob("*.py"), *(path for name in SCRIPTS for path in (ROOT / name).glob("*.py"))]
)
INSTEAD = {
    r"(go(es)?|going|gone|went) on": "resume, continue",
    r"at the most|at the least": "a maximum of, at least",
    r"(give|gives|given|giving|gave) up": "stop, abandon",
    r"look(s|ed|ing)? after": "check, maintain",
    r"in one another": "overlap",
    r"so many": "a number, a maximum",
    r"in earnest": "really, or nothing",
    r"(is|are|was|were|be|been) asked for": "requested",
    r"becomes? of": "what to do with",
    r"beyond help": "unusable, rejected",
    r"(held?|holds?|holding) against": "compared with, checked against",
    r"anew|afresh": "again, new",
    r"honestly": "nothing",
    r"as in a mirror": "mirrored",
    r"once more stops": "press Ctrl-C again to stop immediately",
    r"give the same command": "re-run the same command",
    r"takes? no more": "cannot be written to",
    r"somebody|whoever": "a user, anyone who",
    r"to be had": "available",
    r"names no file": "file not found",
}  # fmt: skip
"""Phrase, as a regular expression -> what a native speaker of the field writes."""

BEFORE = (
    "What becomes of images", "GPUs shared by the workers", "Images that are done and recorded",
    "Which picture to take", "Save and end after so long", "Of each folder at most",
    "Another seed shows", "images in work are finished", "its worker died several times",
    "what is not there cannot be restored", "damaged or made to fill memory",
    "A recipe does not say what", "hopeless ones", "what did not keep the anatomy",
    "the image in work", "Read it honestly", "A veil that hides everything",
    "most flags first, of", "Ray's own processes have died",
)  # fmt: skip
"""Old texts that were replaced one by one."""

BANNED = re.compile(
    "|".join(rf"\b(?:{phrase})\b" for phrase in (*INSTEAD, *map(re.escape, BEFORE))), re.IGNORECASE
)


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """String literals of a module, docstrings among them, and its comments, by line."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    for number, line in enumerate(source.splitlines(), 1):
        if comment := re.search(r"(?:^|\s)#\s(.*)", line):
            yield number, comment[1]


def found(text: str) -> list[str]:
    return [match[0] for match in BANNED.finditer(" ".join(text.split()))]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_old_phrase_in_a_module(path: Path):
    assert [(line, words) for line, text in texts(path) if (words := found(text))] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_old_phrase_on_a_page(path: Path):
    assert found(path.read_text(encoding="utf-8")) == []


def test_phrases_are_found_across_lines_and_in_any_case():
    assert found("Of each folder\n    at\n    the most") == ["at the most"]
    assert found("Goes on.") == ["Goes on"]
    assert found("going once") == []
