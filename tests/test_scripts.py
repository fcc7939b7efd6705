"""Benchmarks, studies, tools: every script finds all that it imports; names of files are unique."""

import importlib
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(
    p for name in ("benchmarks", "studies", "tools") for p in (ROOT / name).glob("*.py")
)
TESTS = sorted(p for p in (ROOT / "tests").rglob("*.py") if p.name != "conftest.py")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_script_can_be_loaded(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [str(path.parent), *sys.path])  # as Python does for a script
    for other in SCRIPTS:  # set first, so that what is loaded here is removed afterwards
        monkeypatch.setitem(sys.modules, other.stem, None)
        monkeypatch.delitem(sys.modules, other.stem)
    module = importlib.import_module(path.stem)
    assert module.__doc__ and module.__file__ and Path(module.__file__) == path
    assert path.stem not in sys.stdlib_module_names, "it would hide a module of Python"


@pytest.mark.parametrize("paths", [SCRIPTS, TESTS], ids=["scripts", "tests"])
def test_no_two_files_share_a_name(paths: list[Path]):
    """Python would load one of them in place of the other."""
    assert [name for name, count in Counter(p.stem for p in paths).items() if count > 1] == []
