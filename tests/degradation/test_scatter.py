"""Forward scatter: wide wings of the image's own light take contrast and nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from magenet_batch.degradation import DegradationParams, preset, sample_degradation
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.degradation.severity import severity

SIZE = 64


def scattered(x: torch.Tensor, share: float, width: float = 0.25) -> torch.Tensor:
    params = DegradationParams(scatter_share=share, scatter_width=width)
    return apply_degradation(x, [params], mask_B1HW=torch.ones_like(x[:, :1]))


def picture(seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(seed).uniform(0.1, 0.9, (1, 3, SIZE, SIZE)).astype(np.float32)
    )


def test_the_wings_are_a_gaussian_inside_the_picture():
    x = picture()
    got = scattered(x, 0.4, 0.1)

    def smooth(plane: np.ndarray) -> np.ndarray:
        return gaussian_filter(plane, 0.1 * SIZE, mode="constant", truncate=8)

    weight = smooth(np.ones((SIZE, SIZE)))
    wings = np.stack([smooth(plane) / weight for plane in x[0].double().numpy()])
    np.testing.assert_allclose(got[0], 0.6 * x[0] + 0.4 * wings, atol=1e-4)


def test_a_plain_surface_stays_and_fine_detail_keeps_its_share():
    plain = torch.tensor([0.6, 0.3, 0.1]).view(1, 3, 1, 1).expand(1, 3, SIZE, SIZE)
    assert torch.allclose(scattered(plain, 0.7), plain, atol=1e-5)
    stripes = plain * (1 + 0.2 * torch.tensor([1.0, -1.0]).repeat(SIZE // 2))
    got = scattered(stripes, 0.7)
    assert float(got.std()) / float(got.mean()) < float(stripes.std()) / float(stripes.mean())
    swing = (got[..., 20:40:2] - got[..., 21:41:2]) / (
        stripes[..., 20:40:2] - stripes[..., 21:41:2]
    )
    np.testing.assert_allclose(swing, 0.3, atol=0.02)


def test_what_lies_outside_the_field_of_view_adds_no_light_and_takes_none():
    x = torch.zeros(1, 3, SIZE, SIZE)
    x[..., :, : SIZE // 2] = 0.5
    got = scattered(x, 0.8, 0.4)
    assert torch.allclose(got[..., : SIZE // 2 - 1], x[..., : SIZE // 2 - 1], atol=1e-5)


def test_every_image_of_a_batch_has_its_own():
    x = picture().repeat(3, 1, 1, 1)
    params = [
        DegradationParams(),
        DegradationParams(scatter_share=0.5, scatter_width=0.1),
        DegradationParams(scatter_share=0.5, scatter_width=0.5),
    ]
    got = apply_degradation(x, params, mask_B1HW=torch.ones_like(x[:, :1]))
    assert torch.equal(got[0], x[0])
    for index, one in ((1, 0.1), (2, 0.5)):
        assert torch.allclose(got[index : index + 1], scattered(x[:1], 0.5, one), atol=1e-6)
    assert not torch.allclose(got[1], got[2], atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0.01, 2))
def test_values_stay_between_the_darkest_and_the_brightest(seed: int, share: float, width: float):
    x = picture(seed)
    got = scattered(x, share, width)
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    assert bool(((got >= low - 1e-5) & (got <= high + 1e-5)).all())


def test_a_crop_is_refused_and_severity_grows():
    params = DegradationParams(scatter_share=0.5)
    with pytest.raises(ValueError, match="'scatter', which depends on the whole picture"):
        apply_degradation(picture(), [params], mask_B1HW=torch.ones(1, 1, SIZE, SIZE), height=99)
    assert severity(params) == pytest.approx(0.4)
    drawn = sample_degradation(np.random.default_rng(0), preset("evaluation:scatter"))
    assert drawn.kinds() == ("scatter",)
    with pytest.raises(ValueError, match="scatter_share"):
        DegradationParams(scatter_share=1.5)
