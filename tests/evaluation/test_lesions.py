"""Contrast of lesions that were planted."""

import numpy as np
import pytest

from magenet_batch.evaluation.lesions import lesion_contrast


def planted(value: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pixels = np.full((256, 256, 3), 100, np.uint8)
    lesion = np.zeros((256, 256), bool)
    lesion[100:110, 120:130] = True
    pixels[lesion] = value
    return pixels, lesion, np.ones((256, 256), bool)


@pytest.mark.parametrize(("value", "expected"), [(60, -0.4), (100, 0.0), (150, 0.5)])
def test_contrast_is_that_which_was_planted(value: int, expected: float):
    pixels, lesion, mask = planted(value)
    assert lesion_contrast(pixels, lesion, others=lesion, fov_mask=mask) == pytest.approx(expected)


def test_neighbouring_lesions_are_no_background():
    pixels, lesion, mask = planted(60)
    others = np.zeros_like(lesion)
    others[100:110, 131:134] = True
    pixels[others] = 255
    assert lesion_contrast(pixels, lesion, others=others, fov_mask=mask) == pytest.approx(-0.4)


def test_without_lesion_there_is_nothing_to_say():
    pixels, lesion, mask = planted(60)
    assert lesion_contrast(pixels, lesion & False, others=lesion, fov_mask=mask) is None
    assert lesion_contrast(pixels, lesion, others=lesion, fov_mask=mask & False) is None
