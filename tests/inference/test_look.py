"""The look `clear`: bounded, hue kept, blind to noise, another job."""

from pathlib import Path

import numpy as np
import pytest
import torch

from magenet_batch.cli.main import main
from magenet_batch.errors import UsageError
from magenet_batch.inference.enhancer import Enhancer
from magenet_batch.inference.look import clear_gain
from magenet_batch.jobs.options import JobOptions

MASK = torch.ones(1, 1, 200, 200)


def lines(contrast: float) -> torch.Tensor:
    """Dark lines of 5 pixels every 40, as vessels are."""
    across = torch.arange(200)
    dark = ((across % 40) < 5).float() * contrast
    return (0.4 * (1 - dark)).expand(1, 3, 200, 200).clone()


def test_contrast_of_lines_rises_and_stays_bounded():
    x = lines(0.15)
    gain = clear_gain(x, MASK)
    assert gain.abs().max() <= 0.6
    y = x * torch.exp(gain)

    def contrast(t: torch.Tensor) -> float:
        row = t[0, 1, 100, 45:160]
        return float(1 - row.min() / row.median())

    assert contrast(y) > 1.4 * contrast(x)


def test_noise_alone_is_hardly_raised():
    torch.manual_seed(1)
    x = 0.4 + 0.01 * torch.randn(1, 3, 200, 200)
    y = x * torch.exp(clear_gain(x, MASK))
    assert y.std() < 1.6 * x.std()


def test_an_even_image_stays_as_it_is():
    x = torch.full((1, 3, 200, 200), 0.4)
    assert clear_gain(x, MASK).abs().max() < 1e-3


@pytest.mark.parametrize("size", [300, 700])
def test_hue_is_kept(tmp_path: Path, size: int):
    from magenet_batch.imaging.fov import find_fov
    from magenet_batch.models.restoration.config import RESTORATION_SIZES, RestorationConfig
    from magenet_batch.models.restoration.network import Restorer
    from magenet_batch.models.weights import load_weights, save_weights
    from magenet_batch.phantom import make_phantom

    network = Restorer(RestorationConfig(size="tiny", **RESTORATION_SIZES["tiny"]))
    with torch.no_grad():
        network.sense.estimates.bias[:] = -20.0
        network.light.believe[2].bias[0] = -9.0
        network.light.tone[4].bias[3] = -9.0
    save_weights(network, tmp_path / "w.safetensors", name="w", notes={})
    loaded, info = load_weights(str(tmp_path / "w.safetensors"))
    pixels = (make_phantom(4, size=size).pixels * 0.7).astype(np.uint16) * 257
    fov = find_fov(pixels)
    assert fov is not None
    enhancer = Enhancer(loaded, info, device=torch.device("cpu"), look="clear")
    result = enhancer.enhance(pixels, fov).pixels.astype(float)
    inside = fov.without_rim(0.05).mask(size, size) & (pixels.min(2) > 2000)
    before, after = (p[inside] / p[inside].sum(1, keepdims=True) for p in (pixels, result))
    assert not np.allclose(result[inside], pixels[inside], rtol=0.02)
    assert np.abs(before - after).max() < 2e-3


def test_networks_of_another_kind_refuse_it():
    with pytest.raises(UsageError, match="clear"):
        Enhancer.load("affine", device="cpu", look="clear")


def test_another_look_is_another_job():
    natural, clear = (
        JobOptions(archive=("a",), look=k).identity("0") for k in ("natural", "clear")
    )
    assert {k for k in natural if natural[k] != clear[k]} == {"look"}


def test_an_unknown_look_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "a").mkdir()
    said = main(["enhance", str(tmp_path / "a"), "-o", str(tmp_path / "o"), "--look", "nice"])
    assert said == 2
    assert "natural" in capsys.readouterr().err
