"""Colour statistics: against NumPy, inside the field of view only, at any size."""

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

from magenet_batch.models.config import magenet_config
from magenet_batch.models.magenet import MageNet
from magenet_batch.models.statistics import STATISTICS, colour_statistics
from magenet_batch.models.weights import load_weights, save_weights
from magenet_batch.phantom import make_phantom
from magenet_batch.training.recipes.load import load_recipe
from magenet_batch.training.run import start_of


def phantom(size: int, *, seed: int = 1) -> torch.Tensor:
    made = make_phantom(seed, size=size)
    image = torch.from_numpy(made.pixels).permute(2, 0, 1)[None].float() / 255
    inside = torch.from_numpy(np.asarray(made.pixels).max(2) > 25)[None, None]
    return image * inside


def test_quantiles_and_covariance_are_those_of_numpy():
    torch.manual_seed(0)
    image = torch.rand(2, 3, 64, 64) * 0.9 + 0.1
    image[:, :, :, :20] = 0.0  # outside the field of view; the next column is mixed with it
    for found, x in zip(colour_statistics(image), image, strict=True):
        inside = x[:, :, 21:].flatten(1).numpy()
        levels = np.quantile(inside, [0.005, 0.5, 0.995], axis=1)
        assert np.allclose(found[:45].reshape(3, 15)[:, [0, 7, 14]].T, levels, atol=1e-5)
        covariance = np.cov(inside, bias=True) * 10
        assert np.allclose(found[45:].reshape(3, 3), covariance, atol=1e-5)


def test_the_working_size_hardly_matters():
    image = phantom(512)
    large, small = colour_statistics(image), colour_statistics(avg_pool2d(image, 4))
    assert float((small - large).abs().max()) < 0.05
    assert float(large.abs().max()) > 0.2


def test_a_black_image_has_none_and_breaks_nothing():
    assert torch.equal(colour_statistics(torch.zeros(1, 3, 96, 64)), torch.zeros(1, STATISTICS))


def test_a_dimmed_image_shows_in_all_quantiles():
    image = phantom(128)
    bright, dim = colour_statistics(image)[0, :45], colour_statistics(image * 0.5)[0, :45]
    assert torch.allclose(dim, bright * 0.5, atol=0.02)


def test_they_reach_the_image_through_the_description():
    torch.manual_seed(0)
    network = MageNet(magenet_config("tiny")).eval()
    image = phantom(64)
    with torch.no_grad():
        before = network(image).images[-1]
        for stage in (network.coarse, network.fine):
            stage.describe_colour[-1].weight.normal_(0, 0.5)
            stage.tone.weight.normal_(0, 0.5)
        after = network(image).images[-1]
    assert float((after - before).abs().max()) > 0.01


@pytest.mark.parametrize("wanted", ["true", "false"])
def test_training_adds_them_to_weights_that_lack_them(tmp_path, wanted: str):
    torch.manual_seed(0)
    old = MageNet(magenet_config("tiny", statistics=False))
    with torch.no_grad():
        old.coarse.tone.weight.normal_(0, 0.1)
    path = tmp_path / "old.safetensors"
    save_weights(old, path, name="old", notes={})
    changes = ["model.size='tiny'", f"model.statistics={wanted}", f"start.weights='{path}'"]
    start = start_of(load_recipe("recipes/affine_smoke.toml", changes=changes))
    assert start is not None
    begun, (loaded, _) = start.network, load_weights(str(path))
    assert begun.config.statistics is (wanted == "true")
    image = phantom(64)
    with torch.no_grad():
        assert torch.equal(begun.eval()(image).images[-1], loaded(image).images[-1])
