"""Training on from weights: parts that they lack, parts that stay as they are."""

from pathlib import Path

import pytest
import torch
from torch import nn

from magenet_batch.errors import TrainingError
from magenet_batch.models.build import build_network
from magenet_batch.models.config import magenet_config
from magenet_batch.models.weights import load_weights, save_weights
from magenet_batch.training.recipes.load import load_recipe
from magenet_batch.training.run import start_of, train

SHORT = (
    "schedule.steps=3", "schedule.views=[[64, 2, 1.0, 1.0]]", "schedule.batch=2", "data.size=128",
    "consistency.weight=0.0", "validation.every=100",
)  # fmt: skip


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """Weights of a network without statistics and bands, nowhere zero."""
    torch.manual_seed(3)
    network = build_network(magenet_config("tiny", bands=0, statistics=False))
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.1)
    path = tmp_path / "older.safetensors"
    save_weights(network, path, name="older", notes={"steps": "1", "hours": "0"})
    return path


def test_parts_that_older_weights_lack_are_added_and_change_nothing(older: Path):
    network, _ = load_weights(str(older))
    start = start_of(load_recipe("affine_smoke", changes=[f"start.weights={older}"]))
    assert start is not None
    grown = start.network
    assert grown.config == magenet_config("tiny")
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(grown.eval()(image).images[-1], network(image).images[-1])


def test_only_the_named_parts_are_trained(tmp_path: Path, older: Path):
    changes = [
        *SHORT, f"start.weights={older}", f"run.output={tmp_path / 'run'}",
        'schedule.parts=["to_condition", "local"]',
    ]  # fmt: skip
    train(load_recipe("affine_smoke", changes=changes))
    before = load_weights(str(older))[0].state_dict()
    after = load_weights(str(tmp_path / "run" / "affine-smoke.safetensors"))[0].state_dict()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert {key.split(".")[0] for key in moved} == {"to_condition", "local"}
    assert after["local.bands.weight"].any()


def test_a_part_that_the_network_lacks_is_refused(tmp_path: Path):
    changes = [*SHORT, f"run.output={tmp_path}", "structure.steps=1", 'schedule.parts=["locl"]']
    with pytest.raises(TrainingError, match="no part is named 'locl'; did you mean 'local'"):
        train(load_recipe("affine_smoke", changes=changes))
