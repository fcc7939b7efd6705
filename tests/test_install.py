"""What an installation brings, and what it says where something is missing."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from magenet_batch.cli.main import main
from magenet_batch.errors import DISTRIBUTION, EXIT_USAGE, MissingExtraError, require_extra

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


@pytest.fixture
def missing(monkeypatch):
    """Make modules look as if they were not installed."""

    def hide(*names: str) -> None:
        find = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec",
            lambda name, package=None: None if name in names else find(name, package),
        )  # fmt: skip

    return hide


def test_enhancing_needs_nothing_of_training():
    core = {re.split(r"[><=;\[ ]", line)[0] for line in PROJECT["dependencies"]}
    assert {"torch", "ray"} <= core and not {"tensorboard", "pytest"} & core
    assert not [line for line in PROJECT["dependencies"] if line.startswith("ray[")]
    assert f"{DISTRIBUTION}[train,dicomweb]" in EXTRAS["dev"]
    assert PROJECT["name"] == DISTRIBUTION


def test_a_missing_extra_is_named_with_the_line_that_brings_it(missing):
    missing("tensorboard")
    with pytest.raises(MissingExtraError) as caught:
        require_extra("train", modules=("tensorboard", "json"), purpose="Training")
    assert str(caught.value) == (
        "Training needs tensorboard, which is not installed: "
        "run pip install 'magenet-batch[train]'."
    )
    assert isinstance(caught.value, ImportError)
    require_extra("train", modules=("json",), purpose="Training")


def test_training_without_its_extra_is_refused_before_it_begins(
    missing, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    missing("tensorboard")
    assert main(["train", "smoke"]) == EXIT_USAGE
    assert "pip install 'magenet-batch[train]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_every_extra_that_is_named_in_the_code_exists():
    named = {
        extra
        for path in (ROOT / "magenet_batch").rglob("*.py")
        for extra in re.findall(r'require_extra\(\s*"(\w+)"', path.read_text(encoding="utf-8"))
    }
    assert named == {"train", "dicomweb"} and named <= EXTRAS.keys()


def test_every_extra_is_on_the_page():
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.M)) == EXTRAS.keys()


def test_no_module_that_enhances_loads_what_is_in_an_extra(tmp_path):
    """The enhancer and a local worker, with the extra's packages blocked."""
    code = (
        "import sys\n"
        "class Blocked:\n"
        "    names = ('tensorboard', 'tensorboardX', 'pandas', 'pytest', 'skimage',\n"
        "             'dicomweb_client')\n"
        "    def find_spec(name, *_):\n"
        "        if name in Blocked.names:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Blocked)\n"
        "import magenet_batch.inference.enhancer, magenet_batch.jobs.engine.local_worker\n"
        "import magenet_batch.jobs.engine.ray_executor, magenet_batch.report.build\n"
        "import magenet_batch.evaluation.run, magenet_batch.api, magenet_batch.training.run\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_shell_completion_is_offered(capsys):
    assert main(["--show-completion", "--help"]) == 0
    assert "--install-completion" in capsys.readouterr().out


def test_the_container_file_copies_what_is_there():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M):
        assert all((ROOT / name).exists() for name in line.split())
    assert "\nUSER 1000\n" in text
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.M))
    copied = {n for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M)
              for n in line.split()}  # fmt: skip
    assert copied == allowed
