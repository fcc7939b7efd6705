"""The unit of the documentation is one that systemd accepts, and starts a command that exists."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from magenet_batch.cli.main import app

PAGE = Path(__file__).parent.parent / "docs" / "running.md"
ONLY_WITH_SYSTEMD = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze"
)


@pytest.fixture
def unit() -> str:
    (text,) = re.findall(r"```ini\n(\[Unit\].*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return text


@pytest.fixture
def command(unit: str) -> list[str]:
    read = configparser.ConfigParser(interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string(unit)
    return shlex.split(read["Service"]["ExecStart"])


def complaints(text: str, folder: Path) -> str:
    """What systemd says of a unit."""
    path = folder / "magenet-watch.service"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, timeout=60
    )
    return done.stdout + done.stderr


@ONLY_WITH_SYSTEMD
def test_systemd_knows_every_line(unit, command, tmp_path):
    there = unit.replace(command[0], sys.executable)  # it must exist
    assert complaints(there, tmp_path) == ""
    assert "Unknown key" in complaints(there.replace("ReadOnlyPaths", "ReadonlyPath"), tmp_path)


def test_its_command_is_one_of_ours(command):
    name, *given = command[1:]
    watch = typer.main.get_command(app).get_command(None, name)  # type: ignore[attr-defined]
    context = watch.make_context(name, given)
    assert Path(command[0]).name == "magenet"
    assert context.params["metrics_port"] == 9464 and str(context.params["out"]) == "/srv/enhanced"
