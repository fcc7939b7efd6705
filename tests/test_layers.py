"""Imports point one way: read from the import graph."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import magenet_batch

ROOT = Path(magenet_batch.__file__).parent
LAYERS = {
    "errors": 0, "settings": 0, "randomness": 0, "stop": 0,
    "phantom": 1, "storage": 1,
    "imaging": 2, "degradation": 2, "records": 2,
    "models": 3, "quality": 3,
    "inference": 4,
    "training": 5,
    "jobs": 6, "report": 6, "evaluation": 6,
    "cli": 7,
}  # fmt: skip
"""Parts of one layer do not import each other; there are no exceptions."""


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Names imported from the package, with their lines; those for types only left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        else:
            yield from imports(node)


def part_of(name: str) -> str | None:
    """The part of the package that a dotted name is in; None for other packages."""
    package, _, rest = name.partition(".")
    part = rest.partition(".")[0]
    return part if package == "magenet_batch" and not part.startswith("__") else None


def broken_rules(path: Path) -> Iterator[str]:
    here = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name, line in imports(ast.parse(path.read_text(encoding="utf-8"))):
        there = part_of(name)
        if not there or there == here:
            continue
        where = f"{path.relative_to(ROOT)}:{line} imports {name}"
        if there not in LAYERS:
            yield f"{where}: '{there}' has no layer; give it one in tests/test_layers.py"
        elif LAYERS[there] > LAYERS[here]:
            yield (
                f"{where}: {here} (layer {LAYERS[here]}) must not import from "
                f"{there} (layer {LAYERS[there]}), which is above it"
            )
        elif LAYERS[there] == LAYERS[here]:
            yield f"{where}: {here} and {there} are on one layer and must not import each other"


FILES = sorted(p for p in ROOT.rglob("*.py") if p.name != "__init__.py" or p.parent != ROOT)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_point_down(path: Path):
    assert path.relative_to(ROOT).parts[0].removesuffix(".py") in LAYERS, "a part without a layer"
    assert not (broken := list(broken_rules(path))), "\n".join(broken)


def test_only_workers_and_networks_know_ray_and_torch():
    """Ray in one file of the jobs; torch never at the top of a module that light commands use."""
    allowed = {"ray": {"jobs/engine/ray_start.py"}}
    light = (
        "cli/",
        "jobs/",
        "report/",
        "imaging/",
        "phantom/",
        "records/",
        "storage/",
        "errors",
        "settings",
    )
    for path in FILES:
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(light):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        tops = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
        packages = {
            (n.module or "") if isinstance(n, ast.ImportFrom) else a.name
            for n in tops
            for a in n.names
        }
        heavy = {p.partition(".")[0] for p in packages} & {"torch", "ray"}
        for package in heavy:
            assert name in allowed.get(package, ()), f"{name} imports {package} at its top"


def test_the_rules_bite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bad = tmp_path / "imaging" / "x.py"
    bad.parent.mkdir()
    bad.write_text("def f():\n    from magenet_batch.jobs.run import run_job\n")
    monkeypatch.setattr("test_layers.ROOT", tmp_path)
    (broken,) = broken_rules(bad)
    assert "imaging (layer 2) must not import from jobs (layer 6)" in broken
