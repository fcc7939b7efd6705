"""Benchmarks, studies and tools: every script still finds all that it imports."""

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(
    p for name in ("benchmarks", "studies", "tools") for p in (ROOT / name).glob("*.py")
)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_script_can_be_loaded(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [str(path.parent), *sys.path])  # as Python does for a script
    for other in SCRIPTS:
        monkeypatch.delitem(sys.modules, other.stem, raising=False)
    module = importlib.import_module(path.stem)
    assert module.__doc__ and module.__file__ and Path(module.__file__) == path
    assert path.stem not in sys.stdlib_module_names, "it would hide a module of Python"


def test_no_two_scripts_share_a_name():
    names = [path.stem for path in SCRIPTS]
    assert sorted(set(names)) == sorted(names)
