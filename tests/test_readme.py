"""Every command of the README, run on a small archive; every number, held against its source."""

import json
import re
import shlex
from pathlib import Path

import cv2
import pytest
from typer.core import TyperGroup
from typer.main import get_command

from magenet_batch.cli.main import app, main
from magenet_batch.errors import EXIT_DONE, EXIT_FAILED
from magenet_batch.models.build import build_network
from magenet_batch.models.catalog import read_weights_file, shipped_names
from magenet_batch.models.config import magenet_config
from magenet_batch.models.magenet import MageNet
from magenet_batch.models.weights import save_weights
from magenet_batch.phantom import make_phantom
from magenet_batch.settings import DEFAULT_WEIGHTS
from magenet_batch.training.recipes.load import load_recipe

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = [
    line
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.S)
    for line in block.strip().splitlines()
]
QUICK = (
    "--set structure.steps=1 --set sense.samples=16 --set sense.steps=1 --set sensor.steps=2 "
    "--set spots.steps=2 --set light.steps=2 --set validation.every=2"
)
ON_PHANTOMS = " ".join(
    f"--set data.{key}=phantom:2" for key in ("clean", "real", "vessels", "validation")
)


def test_every_line_is_of_a_kind_that_is_tested():
    tested = ("make ", "magenet ", "pip install ", "uv tool install ", "pipx install ")
    assert [x for x in LINES if not x.startswith(tested)] == []
    assert {"magenet enhance", "magenet report", "magenet train"} <= {
        " ".join(line.split()[:2]) for line in LINES
    }


def test_make_commands_are_targets():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [line.split()[1] for line in LINES if line.startswith("make ")]
    targets += re.findall(r"`make (\w+)`", TEXT)
    assert {"demo", "test"} <= set(targets)
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def test_what_is_installed_is_this_checkout():
    lines = [line for line in LINES if line.startswith(("pip ", "uv ", "pipx "))]
    assert len(lines) == 2 and all(re.search(r" install '?\.", line) for line in lines)
    assert (ROOT / "pyproject.toml").is_file()


def test_every_option_that_is_named_exists():
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    commands = [group, *group.commands.values()]
    known = {name for command in commands for p in command.params for name in p.opts}
    known.add("--help")
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", TEXT)) <= known


@pytest.mark.slow
def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    archive = tmp_path / "archive"
    archive.mkdir()
    for seed in range(3):
        cv2.imwrite(str(archive / f"{seed}.jpg"), make_phantom(seed, size=160).pixels[..., ::-1])
    weights = weights_for(tmp_path)
    for line in (line for line in LINES if line.startswith("magenet ")):
        command = on_this_machine(line, archive=archive, weights=weights)
        # `doctor` judges the machine that the test runs on.
        fine = {EXIT_DONE, EXIT_FAILED} if " doctor" in line else {EXIT_DONE}
        assert main(shlex.split(command)[1:]) in fine, command
    assert len(list((tmp_path / "out" / "images").glob("*.jpg"))) == 3
    assert (tmp_path / "out" / "report.html").exists()


def on_this_machine(line: str, *, archive: Path, weights: str) -> str:
    """A command of the README on small data, without Ray, GPUs and hours of training."""
    command = line.replace("/archive", str(archive)).replace("--workers 8 --gpus 4", "")
    if " enhance " in command:
        command += f" --workers 0 --gpus 0 --weights {weights}"
    if "train recipes/smoke.toml" in command:
        command += f" {QUICK}"
    elif " train " in command:
        command += f" {ON_PHANTOMS}" + (" --dry-run" if "--dry-run" not in command else "")
    return command


def weights_for(folder: Path) -> str:
    """The shipped weights, or where there are none those of a network that knows nothing."""
    if DEFAULT_WEIGHTS in shipped_names():
        return DEFAULT_WEIGHTS
    path = folder / "tiny.safetensors"
    save_weights(MageNet(magenet_config("tiny")), path, name="tiny", notes={})
    return str(path)


def test_the_tables_are_what_the_benchmarks_found_with_the_weights_that_ship(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import document

    for path, text in document.documents().items():
        assert path.read_text(encoding="utf-8") == text, "run python tools/document.py"
    shipped = read_weights_file(DEFAULT_WEIGHTS).hash
    for results in ("studies/results/quality.json", "benchmarks/results/gates.json"):
        facts = json.loads((ROOT / results).read_text(encoding="utf-8"))["facts"]
        assert shipped in str(facts)


def test_time_steps_and_sizes_are_those_of_the_card_and_the_networks():
    notes = read_weights_file(DEFAULT_WEIGHTS).notes
    text = (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")
    assert f"Steps: {notes['steps']}. Hours: {notes['hours']}." in " ".join(text.split())
    rows = re.findall(r"`recipes/(\w+)\.toml` \| `(\w+)`, ([\d.]+) million parameters", text)
    assert len(rows) == text.count("million parameters") > 0
    for recipe, size, said in rows:
        model = load_recipe(recipe).model
        assert model.size == size
        millions = sum(p.numel() for p in build_network(model).parameters()) / 1e6
        assert float(said) == pytest.approx(millions, rel=0.05)
