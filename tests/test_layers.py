"""Imports point one way, and light commands stay light: read from the import graph."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import magenet_batch

ROOT = Path(magenet_batch.__file__).parent
PACKAGE = "magenet_batch"
LAYERS = {
    "errors": 0, "settings": 0, "randomness": 0, "stop": 0, "processor": 0,
    "duration": 1, "phantom": 1, "storage": 1, "dicomweb": 1, "design": 1,
    "imaging": 2, "degradation": 2, "records": 2,
    "models": 3, "quality": 3,
    "inference": 4,
    "training": 5,
    "jobs": 6, "report": 6, "evaluation": 6,
    "api": 7, "cli": 7,
    "__main__": 8,
}  # fmt: skip
"""A part imports from the layers below it. Parts of one layer do not import each other."""
ROOMS = {
    "jobs": {
        "policy": 0, "options": 1, "recorded": 2,
        "plan": 2, "ledger": 3, "work": 4, "engine": 5, "run": 6, "review": 7, "send": 7,
        "check": 7, "watch": 7, "capacity": 7,
    },
    "report": {
        "words": 0, "limits": 1, "totals": 1, "advice": 2, "text": 3, "markdown": 4, "page": 4,
        "build": 5,
    },
}  # fmt: skip
"""The same inside a part, for its modules and folders."""
LIGHT = (
    "errors", "settings", "randomness", "stop", "processor", "duration", "phantom", "storage",
    "dicomweb", "design", "imaging", "records", "jobs", "report", "api", "cli", "__main__",
)  # fmt: skip
"""Parts that are imported without torch: it is loaded when a network is."""


class Import(NamedTuple):
    """One import: the dotted name, its line, and whether it happens when the module is loaded."""

    name: str
    line: int
    at_once: bool


def imports(tree: ast.AST, *, at_once: bool = True) -> Iterator[Import]:
    """All imports of a module; those for types only left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from (i for inner in node.orelse for i in imports(inner, at_once=at_once))
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                yield Import(f"{node.module}.{alias.name}", node.lineno, at_once)
        elif isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, at_once) for alias in node.names)
        else:
            later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, at_once=at_once and not later)


@cache
def imports_of(path: Path) -> list[Import]:
    return list(imports(ast.parse(path.read_text(encoding="utf-8"))))


def parts_of(name: str) -> list[str]:
    """The names below the package in a dotted name; nothing for other packages."""
    package, *rest = name.split(".")
    return rest if package == PACKAGE and rest and not rest[0].startswith("__") else []


def where_is(path: Path) -> list[str]:
    """A file's names below the package."""
    parts = [*path.relative_to(ROOT).parts]
    parts[-1] = parts[-1].removesuffix(".py")
    return parts if parts[-1] != "__init__" else parts[:-1]


def broken_rules(path: Path) -> Iterator[str]:
    mine = where_is(path)
    for found in imports_of(path):
        theirs = parts_of(found.name)
        if not theirs:
            continue
        where = f"{path.relative_to(ROOT)}:{found.line} imports {found.name}"
        if mine[0] != theirs[0]:
            yield from broken(where, mine[0], theirs[0], LAYERS)
        elif mine[0] in ROOMS and len(mine) > 1 and len(theirs) > 1 and mine[1] != theirs[1]:
            yield from broken(where, mine[1], theirs[1], ROOMS[mine[0]])


def broken(where: str, here: str, there: str, layers: Mapping[str, int]) -> Iterator[str]:
    for name in (here, there):
        if name not in layers:
            yield f"{where}: '{name}' has no layer; give it one in tests/test_layers.py"
            return
    if layers[there] > layers[here]:
        yield (
            f"{where}: {here} (layer {layers[here]}) must not import from "
            f"{there} (layer {layers[there]}), which is above it"
        )
    elif layers[there] == layers[here]:
        yield f"{where}: {here} and {there} are on one layer and must not import each other"


FILES = sorted(p for p in ROOT.rglob("*.py") if p.name != "__init__.py" or p.parent != ROOT)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_point_down(path: Path):
    assert where_is(path)[0] in LAYERS, "a part without a layer"
    assert not (found := list(broken_rules(path))), "\n".join(found)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_only_modules_that_say_so_import_ray(path: Path):
    """Wherever Ray is imported, the file is called `ray_*.py`: everything else runs without it."""
    names = {i.name.partition(".")[0] for i in imports_of(path)}
    assert "ray" not in names or path.name.startswith("ray_"), f"{path} imports ray"


@cache
def loaded_by(name: str) -> frozenset[str]:
    """Other packages that come along when a module of this one is imported."""
    found: set[str] = set()
    waiting, seen = [name], set()
    while waiting:
        name = waiting.pop()
        parts = parts_of(name)
        for path in files_of(parts):
            if path in seen:
                continue
            seen.add(path)
            waiting.extend(i.name for i in imports_of(path) if i.at_once)
        if not parts:
            found.add(name.partition(".")[0])
    return frozenset(found)


def files_of(parts: list[str]) -> list[Path]:
    """The files that an import of these names runs: every package on the way, and the module."""
    tried = [ROOT.joinpath(*parts[:count]) for count in range(len(parts) + 1)]
    found = [folder / "__init__.py" for folder in tried] + [p.with_suffix(".py") for p in tried[1:]]
    return [path for path in found if path.is_file()]


@pytest.mark.parametrize(
    "path", [p for p in FILES if where_is(p)[0] in LIGHT],
    ids=lambda p: p.relative_to(ROOT).as_posix(),
)  # fmt: skip
def test_light_parts_load_neither_torch_nor_ray(path: Path):
    heavy = {"torch"} if path.name.startswith("ray_") else {"torch", "ray"}
    loaded = loaded_by(".".join([PACKAGE, *where_is(path)])) & heavy
    assert not loaded, f"{path} loads {', '.join(sorted(loaded))}: import it where it is used"


def test_the_rules_bite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("test_layers.ROOT", tmp_path)
    written = {
        "imaging/x.py": "def f():\n    from magenet_batch.jobs.run import run_job\n",
        "jobs/plan/x.py": "from magenet_batch.jobs.engine.engine import Engine\n",
        "jobs/odd/x.py": "from magenet_batch.jobs.plan.plan import Plan\n",
    }
    said = []
    for name, text in written.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
        said += broken_rules(path)
    assert "imaging (layer 2) must not import from jobs (layer 6)" in said[0]
    assert "plan (layer 2) must not import from engine (layer 5)" in said[1]
    assert "'odd' has no layer" in said[2]


def test_what_is_loaded_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("test_layers.ROOT", tmp_path)
    (tmp_path / "a.py").write_text("from magenet_batch.b import c\ndef f():\n    import ray\n")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "__init__.py").write_text("import torch.nn as nn\n")
    (tmp_path / "b" / "c.py").write_text("class C:\n    import numpy\n")
    loaded_by.cache_clear()
    assert loaded_by("magenet_batch.a") == {"torch", "numpy"}
    loaded_by.cache_clear()
