"""Curves of a run: JSON lines that are never duplicated by a resume, and TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from magenet_batch.errors import require_extra

CURVES = "curves.jsonl"
"""File with all curves of a run or a part, one point per line."""


class Point(NamedTuple):
    """Numbers measured at one step.

    Attributes:
        step: number of optimiser steps done.
        group: `train` or `validation`.
        numbers: values by name.
    """

    step: int
    group: str
    numbers: dict[str, float]


def read_points(folder: Path) -> list[Point]:
    """Read all points of the curves in a folder; empty if there are none."""
    points = [json.loads(line) for line in _whole_lines(folder / CURVES)]
    return [Point(p.pop("step"), p.pop("group"), p) for p in points]


def _whole_lines(path: Path) -> list[str]:
    """Lines that are complete; a crash can leave a partial last line."""
    if not path.exists():
        return []
    return [x for x in path.read_text(encoding="utf-8").splitlines(True) if x.endswith("\n")]


class Curves:
    """Writes numbers by step.

    Args:
        folder: folder of the run.
        step: step at which the run resumes; later lines of an interrupted run are dropped.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, *, step: int) -> None:
        require_extra("train", modules=("tensorboard",), purpose="training")
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / CURVES
        kept = [line for line in _whole_lines(self.path) if json.loads(line)["step"] <= step]
        self.path.write_text("".join(kept), encoding="utf-8")
        self._file = self.path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, group: str, numbers: dict[str, Any]) -> None:
        """Add a point to every curve of a group."""
        self._file.write(json.dumps({"step": step, "group": group, **numbers}) + "\n")
        self._file.flush()
        for name, value in numbers.items():
            if isinstance(value, int | float):
                self._board.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        """Flush and close the files."""
        self._file.close()
        self._board.close()
