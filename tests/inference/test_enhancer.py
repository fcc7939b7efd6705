"""Enhancing at native resolution: no seams, nothing outside the field of view, any size."""

import numpy as np
import pytest
import torch

from magenet_batch.errors import ImageError, UsageError, WeightsError
from magenet_batch.imaging.fov import FieldOfView, find_fov
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.models.catalog import read_weights_file
from magenet_batch.models.config import magenet_config
from magenet_batch.models.magenet import MageNet
from magenet_batch.models.weights import load_weights, save_weights
from magenet_batch.phantom import make_phantom

CPU = torch.device("cpu")


def enhancer(weights: str, **options: object) -> Enhancer:
    network, found = load_weights(weights)
    return Enhancer(network, found, device=CPU, **options)  # type: ignore[arg-type]


def phantom(size: int = 300, seed: int = 4) -> tuple[np.ndarray, FieldOfView]:
    pixels = make_phantom(seed, size=size).pixels
    fov = find_fov(pixels)
    assert fov is not None
    return pixels, fov


def test_tiles_leave_no_seam(weights: str):
    pixels, fov = phantom(640)
    tiled = enhancer(weights, tile=128).enhance(pixels, fov).pixels
    whole = enhancer(weights, tile=4096).enhance(pixels, fov).pixels
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    assert np.abs(whole.astype(int) - pixels).max() > 10


def test_outside_the_field_of_view_every_pixel_stays(weights: str):
    pixels, fov = phantom()
    result = enhancer(weights).enhance(pixels, fov).pixels
    mask = fov.mask(*pixels.shape[:2])
    assert np.array_equal(result[~mask], pixels[~mask])
    assert not np.array_equal(result[mask], pixels[mask])
    assert result.shape == pixels.shape
    assert result.dtype == pixels.dtype


def test_sixteen_bit_images_keep_their_depth(weights: str):
    pixels, fov = phantom()
    deep = pixels.astype(np.uint16) * 257
    eight, sixteen = (enhancer(weights).enhance(p, fov).pixels for p in (pixels, deep))
    assert sixteen.dtype == np.uint16
    assert len(np.unique(sixteen)) > 256
    # The copy that the global stages see is rounded to eight bits in one of them; random weights
    # make more of that than trained ones.
    difference = np.abs(sixteen / 257.0 - eight)
    assert difference.max() < 2
    assert difference.mean() < 0.5


@pytest.mark.parametrize("shape", [(300, 220), (190, 301), (97, 97)])
def test_any_size_and_any_cut(weights: str, shape: tuple[int, int]):
    pixels = make_phantom(2, size=301).pixels[: shape[0], : shape[1]].copy()
    fov = FieldOfView(150, 150, 145, 0, 0, shape[1], shape[0], shape[1], shape[0])
    done = enhancer(weights, tile=64).enhance(pixels, fov)
    assert done.pixels.shape == pixels.shape
    assert done.vessels_before is not None
    height, width = done.vessels_before.shape
    assert width / height == pytest.approx(shape[1] / shape[0], rel=0.05)
    assert 0 <= done.vessels_before.min() <= done.vessels_before.max() <= 1


def test_the_same_image_gives_the_same_pixels(weights: str):
    pixels, fov = phantom()
    one, two = (enhancer(weights).enhance(pixels, fov).pixels for _ in range(2))
    assert np.array_equal(one, two)


def test_an_untrained_network_changes_nothing(tmp_path):
    path = tmp_path / "new.safetensors"
    save_weights(MageNet(magenet_config("tiny")), path, name="new", notes={})
    pixels, fov = phantom()
    assert np.array_equal(enhancer(str(path)).enhance(pixels, fov).pixels, pixels)


def test_a_network_that_yields_nan_is_an_image_error(weights: str):
    broken = enhancer(weights)
    with torch.no_grad():
        broken.network.local.residual.bias.fill_(float("nan"))
    pixels, fov = phantom()
    with pytest.raises(ImageError, match="not finite") as caught:
        broken.enhance(pixels, fov)
    assert caught.value.reason == "non_finite"


def test_weights_say_what_they_are_and_survive_the_round_trip(weights: str):
    found = read_weights_file(weights)
    assert found.name == "stirred"
    assert found.notes == {"data": "none"}
    network, again = load_weights(weights)
    assert again.hash == found.hash
    assert network.config.size == "tiny"
    assert not any(p.requires_grad for p in network.parameters())


def test_wrong_weights_give_sentences_that_help(tmp_path, weights: str):
    from safetensors.torch import save_file

    with pytest.raises(WeightsError, match="no weights 'nowhere'"):
        load_weights("nowhere")
    text = tmp_path / "text.safetensors"
    text.write_text("hello")
    with pytest.raises(WeightsError, match="not a complete safetensors file"):
        load_weights(str(text))
    other = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(2)}, other)
    with pytest.raises(WeightsError, match="no magenet weights"):
        load_weights(str(other))
    found = read_weights_file(weights)
    misfit = tmp_path / "misfit.safetensors"
    metadata = {"format": "magenet-1", "config": found.config, "name": "x"}
    save_file({"x": torch.zeros(2)}, misfit, metadata=metadata)
    with pytest.raises(WeightsError, match="does not fit"):
        load_weights(str(misfit))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_asking_for_a_gpu_that_is_not_there_is_an_error(weights: str):
    with pytest.raises(UsageError, match="0 GPUs are visible"):
        Enhancer.load(weights, device="cuda")
