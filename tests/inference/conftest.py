from pathlib import Path

import pytest
import torch

from magenet_batch.models.config import magenet_config
from magenet_batch.models.magenet import MageNet
from magenet_batch.models.weights import save_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny network whose heads are stirred, so that it changes images visibly."""
    torch.manual_seed(0)
    network = MageNet(magenet_config("tiny", working_size=64))
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.02)
    path: Path = tmp_path_factory.mktemp("weights") / "stirred.safetensors"
    save_weights(network, path, name="stirred", notes={"data": "none"})
    return str(path)
