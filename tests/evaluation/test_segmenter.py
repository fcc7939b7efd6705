"""The independent segmenter finds the vessels of phantoms, which it was not fitted on."""

import numpy as np
import pytest

from magenet_batch.degradation import DegradationParams
from magenet_batch.degradation.numpy_api import degrade_pixels
from magenet_batch.evaluation.binary import roc_auc
from magenet_batch.evaluation.segmenter import Segmenter, expand
from magenet_batch.imaging.fov import find_fov
from magenet_batch.phantom import make_phantom


@pytest.mark.parametrize("seed", [0, 5])
def test_vessels_are_found_and_blur_hides_them(seed: int):
    phantom = make_phantom(seed, size=512)
    fov = find_fov(phantom.pixels)
    assert fov is not None
    segmenter = Segmenter.load()
    mask = fov.mask(512, 512)
    truth = (phantom.vessels > 0.5)[mask]
    clear = roc_auc(segmenter.segment(phantom.pixels, fov)[mask], truth)
    blurred = degrade_pixels(phantom.pixels, DegradationParams(blur_sigma=0.01), mask=mask)
    hidden = roc_auc(segmenter.segment(blurred, fov)[mask], truth)
    assert clear > 0.9
    assert hidden < clear - 0.02


def test_the_border_is_no_vessel():
    phantom = make_phantom(1, size=256)
    fov = find_fov(phantom.pixels)
    assert fov is not None
    found = Segmenter.load().segment(phantom.pixels, fov)
    assert found.shape == (256, 256)
    assert not found[~fov.mask(256, 256)].any()
    assert 0 <= found.min() <= found.max() <= 1


def test_products_come_after_the_features():
    expanded = expand(np.array([[2.0, 3.0]]))
    assert expanded.tolist() == [[2, 3, 4, 6, 9]]
