"""Tiny networks with fixed numbers in them give what they always gave: moves change nothing."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
import torch

from magenet_batch.models.affine import Window
from magenet_batch.models.build import Network, build_network
from magenet_batch.models.config import magenet_config
from magenet_batch.models.magenet import Crop

SHOWN = [(0, 0, 0), (0, 17, 40), (1, 32, 32), (2, 50, 11), (2, 63, 63)]
"""Channel, row and column of the numbers that are held."""
GOLDEN = {
    "tiny": [
        0.240299, 1.024294, 0.116561, 2.063769, 0.358118, 0.780864, -0.007289,
        1.041757, 0.974151, -0.874451, -0.717081, 0.038429,
    ],
    "unet": [
        0.483875, 0.491987, 0.051524, 0.455604, 0.583281, -0.376947, 0.060784,
    ],
}  # fmt: skip


def filled(size: str) -> Network:
    """A network whose parameters depend on their names and shapes alone."""
    network = build_network(magenet_config(size)).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            if parameter.dim() > 1:
                fan_in = math.prod(parameter.shape[1:])
                drawn = rng.normal(0, 0.5 / math.sqrt(fan_in), parameter.shape)
                parameter.copy_(torch.from_numpy(drawn))
            elif not parameter.eq(1).all():  # norms keep their ones
                parameter.copy_(torch.from_numpy(rng.normal(0, 0.02, parameter.shape)))
    return network


def outputs(size: str) -> list[float]:
    """Some numbers of every stage: of a whole image, and of a crop at twice the resolution."""
    rng = np.random.default_rng(7)
    whole = torch.from_numpy(rng.random((1, 3, 128, 128))).float()
    window = Window(32, 96, 64, 128)
    tile = whole[..., window.top : window.bottom, window.left : window.right]
    crop = Crop(tile, window, 128, 128)
    working = torch.nn.functional.avg_pool2d(whole, 2)
    with torch.no_grad():
        enhanced = filled(size)(working, crop=crop)
    numbers = [float(value) for i in enhanced.images for value in (i.mean(), i.std())]
    numbers += [float(enhanced.images[-1][0, c, y, x]) for c, y, x in SHOWN]
    if enhanced.structure is not None:
        numbers.append(float(enhanced.structure.logits.mean()))
    return numbers


@pytest.mark.parametrize("size", ["tiny", "unet"])
def test_outputs_are_golden(size: str):
    assert outputs(size) == pytest.approx(GOLDEN[size], rel=1e-4, abs=1e-5)
