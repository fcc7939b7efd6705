"""`magenet train smoke`: weights that enhance, and parts that are trained one by one."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_DONE, EXIT_FAILED, TrainingError
from magenet_batch.imaging.fov import find_fov
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.models.catalog import read_weights_file
from magenet_batch.models.restoration import cameras
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.weights import load_weights
from magenet_batch.phantom import make_phantom
from magenet_batch.training.progress import Reporter
from magenet_batch.training.recipes.load import load_recipe
from magenet_batch.training.restoration.run import RestorationRun
from magenet_batch.training.run import train

pytestmark = pytest.mark.slow
QUICK = (
    "structure.steps=2", "structure.size=64", "structure.batch=2", "sense.samples=16",
    "sense.steps=4", "sensor.steps=3", "sensor.crop=64", "spots.steps=3", "spots.batch=2",
    "light.steps=3", "light.batch=2",
    "light.real_batch=1", "tone.samples=4", "tone.steps=3", "validation.every=9",
    "validation.images=1", "data.size=192", "run.precision=fp32", "run.threads=1",
)  # fmt: skip
PARTS = ("structure", "sense", "sensor", "spots", "light", "tone")


def command(output: Path, *more: str) -> list[str]:
    changes = [*QUICK, f"run.output={output}", *more]
    return ["train", "smoke", *(word for change in changes for word in ("--set", change))]


def only(part: str) -> str:
    return f'run.parts=["{part}"]'


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    """The folder of a whole run."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    folder = tmp_path_factory.mktemp("whole")
    assert main(command(folder)) == EXIT_DONE
    yield folder
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


def test_its_weights_enhance_a_photograph(trained: Path):
    network, info = load_weights(str(trained / "smoke.safetensors"))
    assert isinstance(network, Restorer)
    assert info.name == "smoke"
    pixels = make_phantom(7, size=300).pixels
    fov = find_fov(pixels)
    assert fov is not None
    done = Enhancer(network, info, device=torch.device("cpu")).enhance(pixels, fov)
    outside = ~fov.mask(300, 300)
    assert done.pixels.shape == pixels.shape
    assert done.pixels.dtype == np.uint8
    assert np.array_equal(done.pixels[outside], pixels[outside])
    assert done.vessels_before is not None
    assert done.estimates is not None
    assert all(np.isfinite(value) for value in vars(done.estimates).values())


def test_its_card_tells_of_every_part(trained: Path):
    notes = read_weights_file(str(trained / "smoke.safetensors")).notes
    assert notes["steps"] == "sensor 3, spots 3, light 3, tone 3"
    measured = json.loads(notes["validation"])
    assert {
        "sensor: gain", "sensor: clean", "light: phantom:2@100_raw", "spots: phantom:2@100_gain",
        "spots: phantom:2@100_clean",
    } <= set(measured)  # fmt: skip
    assert "sensor: gain" in (trained / "smoke.md").read_text()


def test_the_structure_module_is_trained_first_and_then_left_alone(trained: Path):
    weights, module = (load_file(trained / f"{n}.safetensors") for n in ("smoke", "structure"))
    for key, value in module.items():
        assert torch.equal(weights[f"structure.{key}"], value.half()), key
    sense = load_file(trained / "sense.safetensors")
    assert any(not torch.equal(weights[f"sense.{k}"], v.half()) for k, v in sense.items())


def test_parts_trained_one_by_one_and_on_batches_made_ahead_make_the_same_weights(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for part in PARTS:
        assert main(command(tmp_path, only(part), "run.loaders=2")) == EXIT_DONE
        assert not (tmp_path / "smoke.safetensors").exists()
    assert "weights:" not in capsys.readouterr().out
    assert main(command(tmp_path)) == EXIT_DONE
    assert "smoke.safetensors" in capsys.readouterr().out
    a, b = (load_file(folder / "smoke.safetensors") for folder in (trained, tmp_path))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_one_part_leaves_the_others_alone(tmp_path: Path):
    assert main(command(tmp_path, only("light"), "light.steps=1")) == EXIT_DONE
    names = {path.name for path in tmp_path.iterdir()}
    files = {"light.checkpoint.safetensors", "light.safetensors"}
    assert names == {"recipe.json", "light", "results.png"} | files


def test_what_a_part_needs_and_is_missing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for missing in ("structure", "sense"):
        assert main(command(tmp_path, only("sensor"))) == EXIT_FAILED
        said = capsys.readouterr().err
        assert f"{missing}.safetensors does not exist yet" in said
        assert f"--set run.parts='[\"{missing}\"]'" in said
        assert main(command(tmp_path, only(missing))) == EXIT_DONE


def test_another_run_s_structure_module_is_used(trained: Path, tmp_path: Path):
    given = f"structure.weights={trained / 'structure.safetensors'}"
    for part in ("sense", "sensor"):
        assert main(command(tmp_path, given, only(part), "sensor.steps=1")) == EXIT_DONE
    assert not (tmp_path / "structure.safetensors").exists()
    with pytest.raises(TrainingError, match=r"set structure\.weights = ''"):
        changes = [*QUICK, "structure.weights=nowhere", f"run.output={tmp_path / 'new'}"]
        train(load_recipe("smoke", changes=changes))


@pytest.mark.parametrize(
    "without",
    [
        ("model.light=false",),
        ("model.light.cameras=0",),
        ("model.sensor=false",),
        ("model.spots=false",),
        ("model.structure=false", "model.sensor.guided=false"),
        ("model.sensor.widths=[]",),
        ("data.validation=[]",),
        ("data.real=[]",),
    ],
)
def test_a_network_without_a_part_and_a_run_without_validation_are_trained(
    tmp_path: Path, without: tuple[str, ...]
):
    short = ("sensor.steps=1", "light.steps=1", "structure.steps=1", *without)
    assert main(command(tmp_path, *short)) == EXIT_DONE
    network, info = load_weights(str(tmp_path / "smoke.safetensors"))
    pixels = make_phantom(7, size=160).pixels
    fov = find_fov(pixels)
    assert fov is not None
    done = Enhancer(network, info, device=torch.device("cpu")).enhance(pixels, fov)
    assert done.pixels.shape == pixels.shape


def test_a_trained_stage_is_told_its_tone_without_changing_light_and_veil(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    nothing = torch.zeros(1, 64, 64)  # so that the plain circle of phantoms passes for a frame
    monkeypatch.setattr(cameras, "_circle", lambda size: nothing)
    begun = (f"start.weights={trained / 'smoke.safetensors'}", "tone.noise=0.1")
    assert main(command(tmp_path, *begun, only("tone"))) == EXIT_DONE
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"recipe.json", "tone", "tone.safetensors"}
    told = load_file(tmp_path / "tone.safetensors")
    parts = {"frames", "mean", "spread", "first", "second", "last"}
    assert {key.split(".")[0] for key in told} == parts
    for part in ("structure", "sense"):
        shutil.copy(trained / f"{part}.safetensors", tmp_path)
    assert main(command(tmp_path, *begun, "light.steps=1")) == EXIT_DONE
    after = load_file(tmp_path / "smoke.safetensors")
    assert told["frames"].any()
    assert all(torch.equal(after[f"light.known.{k}"], value.half()) for k, value in told.items())
    assert read_weights_file(str(tmp_path / "smoke.safetensors")).notes["steps"].endswith("tone 3")


def test_weights_of_another_kind_cannot_be_gone_on_from(tmp_path: Path):
    changes = ["start.weights=small", f"run.output={tmp_path}"]
    with pytest.raises(TrainingError, match="another network"):
        RestorationRun(
            load_recipe("smoke", changes=changes), reporter=Reporter(), stopped=lambda: False
        )
