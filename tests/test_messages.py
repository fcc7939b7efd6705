"""Errors for users are sentences, reasons of images are clauses: one style each."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import magenet_batch

ROOT = Path(magenet_batch.__file__).parent
PARTS = (
    "api", "cli", "degradation", "dicomweb", "duration", "errors", "evaluation", "imaging", "jobs",
    "phantom", "quality", "records", "report", "settings", "stop", "storage",
)  # fmt: skip
"""Parts of the package whose messages have this style."""
SENTENCES = {
    "UsageError", "InputError", "MissingExtraError", "RecipeError", "WeightsError", "JobError",
    "StorageError", "TrainingError", "DicomwebError",
}  # fmt: skip
WHOLE = {"error", "todo", "_ACCEPTED", "_ARCHIVE", "_hint(array)"}
"""What stands at the end of messages and is a sentence itself."""


def text_of(node: ast.expr) -> str | None:
    """A literal message, with the source of what is inserted in braces."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            v.value if isinstance(v, ast.Constant) else f"{{{ast.unparse(v.value)}}}"  # type: ignore[attr-defined]
            for v in node.values
        )
    return None


def messages(part: str) -> Iterator[tuple[str, str, str]]:
    """Place, class and text of every error that a part makes of a literal."""
    folder = ROOT / part
    for path in sorted(folder.rglob("*.py")) if folder.is_dir() else [ROOT / f"{part}.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                name = node.func.id
                text = text_of(node.args[-1 if name == "ImageError" else 0])
                if text:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", name, text


def is_sentence(text: str) -> bool:
    """Whether it begins with a capital or with what the user gave, and ends with a full stop."""
    last = text.rpartition("{")[2].removesuffix("}")
    return not text[0].islower() and (text.endswith((".", "?")) or last in WHOLE)


@pytest.mark.parametrize("part", PARTS)
def test_errors_for_users_are_sentences(part: str):
    found = [(at, text) for at, name, text in messages(part) if name in SENTENCES]
    assert [one for one in found if not is_sentence(one[1])] == []


def test_reasons_of_images_are_clauses():
    found = [(at, text) for at, name, text in messages("imaging") if name == "ImageError"]
    assert len(found) > 40
    wrong = [one for one in found if one[1].endswith(".") or one[1].startswith(("The ", "A "))]
    assert wrong == []


def test_the_style_is_told_apart():
    assert is_sentence("{path}: not a table. Save it as CSV.")
    assert is_sentence("{base}: {why}. {todo}")
    assert not is_sentence("no such folder.")
    assert not is_sentence("{path}: not a table")
    assert not is_sentence("{path}: {why}")
