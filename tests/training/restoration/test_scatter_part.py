"""The scatter part measures sharp photographs, and leaves a network that sees no vessels alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from magenet_batch.cli.main import main
from magenet_batch.errors import EXIT_DONE
from magenet_batch.imaging.fov import find_fov
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.models.restoration.config import ScatterConfig
from magenet_batch.models.restoration.network import Restorer
from magenet_batch.models.restoration.scatter import ScatterStage
from magenet_batch.models.weights import load_weights
from magenet_batch.phantom import make_phantom
from magenet_batch.training.data.config import DataConfig
from magenet_batch.training.data.images import TrainingImages, load_training_images
from magenet_batch.training.restoration.scatter import fit_scatter

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photos() -> TrainingImages:
    return load_training_images(DataConfig(root=".", size=512), ("phantom:5",))


@pytest.fixture
def network() -> Restorer:
    found, _ = load_weights("small")
    assert isinstance(found, Restorer)
    found.scatter = ScatterStage(ScatterConfig())
    return found


def test_the_mean_and_the_deviation_of_the_photographs_are_kept(
    network: Restorer, photos: TrainingImages
):
    assert network.scatter is not None
    assert fit_scatter(network, photos, device=CPU) == len(photos)
    whole = network.scatter.expected.clone(), network.scatter.spread.clone()
    logs = []
    for index in range(len(photos)):
        twice = TrainingImages(
            photos.images[[index, index]], photos.masks[[index, index]], None, ("a", "b")
        )
        assert fit_scatter(network, twice, device=CPU) == 2
        assert float(network.scatter.spread) == pytest.approx(0, abs=1e-5)
        logs.append(float(network.scatter.expected))
    assert float(whole[0]) == pytest.approx(np.mean(logs), abs=1e-4)
    assert float(whole[1]) == pytest.approx(np.std(logs, ddof=1), abs=1e-3)


def test_without_vessels_the_stage_stays_as_it_was(network: Restorer, photos: TrainingImages):
    assert network.scatter is not None
    grey = TrainingImages(torch.full_like(photos.images, 90), photos.masks, None, photos.names)
    before = network.scatter.expected.clone()
    assert fit_scatter(network, grey, device=CPU) == 0
    assert torch.equal(network.scatter.expected, before)


def test_a_run_of_this_part_alone_gives_a_network_that_restores_contrast(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Phantoms have strong vessels: to a network fitted to them, a paler one lacks contrast."""
    changes = (
        "data.clean=[\"phantom:4\"]", "run.parts=[\"scatter\"]", f"run.output={tmp_path}",
        "start.weights=small", "model.size=small", "model.sensor.strength=1.2",
        "model.sensor.unsure=2", "run.threads=1",
        "data.validation=[]", "model.light.cameras=1",
    )  # fmt: skip
    words = [word for change in changes for word in ("--set", change)]
    assert main(["train", "smoke", *words]) == EXIT_DONE
    assert "vessels are seen in 4 of 4 clean photographs" in capsys.readouterr().err
    assert (tmp_path / "scatter.safetensors").is_file()


@pytest.mark.parametrize("deep", [False, True], ids=["8 bits", "16 bits"])
def test_a_scattered_phantom_gets_its_contrast_back_and_a_clear_one_stays(deep: bool):
    network, info = load_weights("small")
    assert isinstance(network, Restorer)
    network.light = network.sensor = network.spots = None
    clear = make_phantom(5, size=640).pixels
    if deep:
        clear = clear.astype(np.uint16) * 257
    fov = find_fov(clear)
    assert fov is not None
    mask = fov.mask(*clear.shape[:2])[..., None]
    mean = clear[mask[..., 0]].mean(0)
    hazy = np.where(mask, 0.2 * clear + 0.8 * mean, clear).astype(clear.dtype)
    enhancer = Enhancer(network, info, device=CPU)
    kept, restored = (enhancer.enhance(x, fov) for x in (clear, hazy))
    assert np.array_equal(kept.pixels, clear)
    assert kept.estimates is not None
    assert kept.estimates.veil == 0
    assert restored.pixels.dtype == clear.dtype
    assert restored.estimates is not None
    assert 0.1 < restored.estimates.veil <= 0.5
    detail = [(x.astype(float) - x[mask[..., 0]].mean(0))[mask[..., 0]] for x in (hazy, clear)]
    gained = (restored.pixels.astype(float) - mean)[mask[..., 0]]
    assert np.square(gained - detail[1]).mean() < np.square(detail[0] - detail[1]).mean()
