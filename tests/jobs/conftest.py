"""Tiny archives, and the scripts in `tools/`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from jobs_fakes import write_image

from magenet_batch.jobs.options import JobOptions

TOOLS = Path(__file__).parent.parent.parent / "tools"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Nine images in nested folders: one name in two folders, a.jpg beside a.png."""
    root = tmp_path / "archive"
    names = ["a.jpg", "a.png", "left/eye.jpg", "right/eye.jpg", "deep/er/x.tif"]
    names += [f"many/{i}.png" for i in range(4)]
    for seed, name in enumerate(names):
        write_image(root / name, seed=seed)
    return root


@pytest.fixture
def options(archive: Path, tmp_path: Path):
    """Make options for the archive: inline, on the CPU, unless said otherwise."""

    def make(**changes) -> JobOptions:
        values = {
            "archive": (str(archive),),
            "out": str(tmp_path / "out"),
            "workers": 0,
            "gpus": 0,
            "shard_size": 2,
            "policy": "all",
        }
        return JobOptions(**(values | changes))

    return make


@pytest.fixture
def load_tool(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Import a script of `tools/` by its name."""
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module
